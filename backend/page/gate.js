// The way in: a name for guests, a user name and a password where the server keeps them.

import { find } from "./element.js";
import { account, cleanName } from "./identity.js";

export class Gate {
  #enter;
  #ownName;
  #forget;
  #offers = {};

  // `ownName()` is the name so far. `enter(name)` goes in with it, `forget()` drops it.
  constructor({ ownName, enter, forget }) {
    this.#ownName = ownName;
    this.#forget = forget;
    this.#enter = enter;
    find("gate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = cleanName(find("name-input").value);
      if (name !== "") this.#leave(name);
    });
    find("gate").addEventListener("keydown", (event) => {
      if (event.key === "Escape" && ownName() !== "") this.#leave(ownName());
    });
    find("to-login").addEventListener("click", () => this.#choose("login-form"));
    find("to-guest").addEventListener("click", () => this.#choose("gate-form"));
    find("login-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#logIn("login");
    });
    find("register").addEventListener("click", () => find("login-form").reportValidity() && this.#logIn("register"));
    find("log-out").addEventListener("click", () => this.#logOut());
  }

  offer(offers) {
    this.#offers = offers;
    find("to-login-line").hidden = !offers.login;
    find("log-out").hidden = !offers.login;
    find("register").hidden = !offers.register;
    find("to-guest").hidden = offers.guests === false;
    if (offers.login && offers.guests === false && !find("gate").hidden) this.#choose("login-form");
  }

  show() {
    document.body.dataset.phase = "gate";
    find("gate").hidden = false;
    this.#choose(this.#offers.login && this.#offers.guests === false ? "login-form" : "gate-form");
  }

  #choose(form) {
    for (const id of ["gate-form", "login-form"]) find(id).hidden = id !== form;
    const first = find(form === "gate-form" ? "name-input" : "username-input");
    if (form === "gate-form") first.value = this.#ownName();
    first.select();
    first.focus();
  }

  #leave(name) {
    find("gate").hidden = true;
    document.body.dataset.phase = "chat";
    this.#enter(name);
  }

  async #logIn(path) {
    const username = find("username-input").value;
    find("login-why").textContent = "";
    const { user, problem } = await account(path, { username, password: find("password-input").value });
    find("password-input").value = "";
    if (problem === undefined) this.#leave(user?.name ?? username);
    else find("login-why").textContent = problem;
  }

  // Everything here belonged to that person; a new page begins as nobody.
  async #logOut() {
    await account("logout");
    this.#forget();
    location.reload();
  }
}
