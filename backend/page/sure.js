// Asks twice, in the button itself: the first press turns it into a question, a second one soon after is the answer.

const SURE_MS = 4_000;
const timers = new WeakMap();

// Whether this press is the answer.
export function isSure(button, question = "Really?") {
  clearTimeout(timers.get(button));
  if (button.dataset.sure) {
    delete button.dataset.sure;
    return true;
  }
  const calm = button.textContent;
  button.dataset.sure = "asked";
  button.textContent = question;
  const calmDown = () => {
    delete button.dataset.sure;
    button.textContent = calm;
  };
  timers.set(button, setTimeout(calmDown, SURE_MS));
  return false;
}
