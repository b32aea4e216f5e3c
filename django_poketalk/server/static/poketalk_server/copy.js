/*
 * Buttons that copy the text of another element, whose id is their data-copy. They stay hidden where
 * the browser allows no copying.
 */

if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = button.dataset.done;
  } catch {
    getSelection().selectAllChildren(source);
  }
}
