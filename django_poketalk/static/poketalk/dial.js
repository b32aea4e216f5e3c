/* The keys of the dial pad, which enter digits into the field of the number. */

const keys = document.querySelector(".poketalk-keys");
const field = document.querySelector(".poketalk-dial [name=to_number]");

keys.hidden = false;
keys.addEventListener("click", ({ target }) => {
  const key = target.closest("button");
  if (!key) return;
  field.value = key.value ? field.value + key.value : field.value.slice(0, -1);
});
