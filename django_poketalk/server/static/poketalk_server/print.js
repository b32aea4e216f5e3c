/* Buttons that print the page. Without a script they stay hidden: the browser's menu prints it. */

for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
