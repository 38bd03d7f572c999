// The chat page in a network that lets no WebSocket through: it talks over plain requests, keeps its promise there too, and
// moves to a WebSocket as soon as one gets through. One browser has such a network, the other does not.
import http from "node:http";
import net from "node:net";
import { check, options, scenario, until } from "./lib.mjs";
import { Person, withBrowser } from "./person.mjs";

/** A proxy of the kind that offices have: it knows requests and nothing else. */
class Office {
  letsUpgrade = false;
  requests = 0;
  #target = new URL(options.url);
  #server = http.createServer((request, response) => this.#pass(request, response));

  async open() {
    this.#server.on("upgrade", (request, socket, head) => (this.letsUpgrade ? this.#tunnel(request, socket, head) : socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n")));
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #pass(request, response) {
    const { method, url, headers } = request;
    if (url.includes("transport=polling")) this.requests += 1;
    const { hostname, port } = this.#target;
    const onward = http.request({ hostname, port, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  #tunnel(request, socket, head) {
    const onward = net.connect(Number(this.#target.port), this.#target.hostname, () => {
      const fields = request.rawHeaders.reduce((text, word, at) => text + (at % 2 === 0 ? `${word}: ` : `${word}\r\n`), "");
      onward.write(`GET ${request.url} HTTP/1.1\r\n${fields}\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    for (const one of [onward, socket]) one.on("error", () => [onward, socket].forEach((end) => end.destroy()));
  }
}

const transport = (person) => person.page.locator("[data-detail=transport]").textContent();

await scenario(() =>
  withBrowser(async (browser) => {
    const office = new Office();
    const url = await office.open();
    try {
      const ada = await Person.at(browser, url, { name: "Ada", forgivesNetwork: true });
      const grace = await Person.at(browser, options.url, { name: "Grace" });
      for (const person of [ada, grace]) await person.enters();
      check((await transport(ada)) === "HTTP requests", `Ada is connected by ${await transport(ada)}`);
      check((await transport(grace)) === "WebSocket", `Grace is connected by ${await transport(grace)}`);
      for (let number = 1; number <= 5; number += 1) {
        await ada.writes(`asked ${number}`);
        await grace.writes(`answered ${number}`);
      }
      for (let number = 1; number <= 5; number += 1) for (const person of [ada, grace]) for (const word of ["asked", "answered"]) await person.reads(`${word} ${number}`);
      await ada.picture("polling");
      // Gone offline and reloaded in the middle of a send.
      await ada.context.setOffline(true);
      await ada.writes("said offline");
      await ada.isState("said offline", "pending");
      await grace.writes("missed");
      await ada.context.setOffline(false);
      await ada.page.reload();
      for (const person of [ada, grace]) for (const text of ["said offline", "missed"]) await person.reads(text);
      await ada.isConnected();
      check((await transport(ada)) === "HTTP requests", "still by requests");
      office.letsUpgrade = true;
      await until("she moves to a WebSocket", async () => (await transport(ada)) === "WebSocket" && (await ada.state()) === "connected", 60_000);
      const before = office.requests;
      await ada.writes("by WebSocket");
      await grace.reads("by WebSocket");
      await grace.writes("heard");
      await ada.reads("heard");
      check(office.requests === before, "no request polls any more");
      const [hers, theirs] = [await ada.all(), await grace.all()];
      check(JSON.stringify(hers) === JSON.stringify(theirs), `they do not agree:\n${hers.join(" | ")}\n${theirs.join(" | ")}`);
      for (const person of [ada, grace]) await person.isClean();
      return { requests: before };
    } finally {
      office.close();
    }
  }),
);
