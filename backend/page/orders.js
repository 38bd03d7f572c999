// The operator's forms: a word to everybody, and what is done about somebody.

import { find } from "./element.js";
import { isSure } from "./sure.js";

const DOES = {
  kick: { ask: "End their connections?", done: (id) => `The connections of ${id} are ended on every instance. They may come back.`, order: (operator, id) => operator.kick(id) },
  ban: { ask: "Shut them out?", done: (id) => `${id} is shut out of every instance.`, order: (operator, id) => operator.ban(id, true) },
  unban: { done: (id) => `${id} may come in again.`, order: (operator, id) => operator.ban(id, false) },
};

// `operator()` is whoever has the token now; `said` keeps what was done.
export function listenToOrders(operator, said) {
  find("notice-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const [message, level] = [find("notice").value.trim(), find("level").value];
    const answer = await operator().tellEverybody(message, level);
    tell("notice-said", answer, "Everybody who is connected was told.");
    if (!answer.ok) return;
    find("notice").value = "";
    said(`Everybody was told: ${message}`);
  });
  for (const [name, { ask, done, order }] of Object.entries(DOES)) {
    const button = find(name);
    button.addEventListener("click", async () => {
      const id = find("person").value.trim();
      if (!find("person").reportValidity() || (ask && !isSure(button, ask))) return;
      const answer = await order(operator(), id);
      tell("person-said", answer, done(id));
      if (answer.ok) said(done(id));
    });
  }
  // Enter alone does nothing to anybody.
  find("person-form").addEventListener("submit", (event) => event.preventDefault());
}

function tell(id, answer, done) {
  find(id).className = answer.ok ? "note" : "problem";
  find(id).textContent = answer.ok ? done : (answer.error?.message ?? "It was not done.");
}
