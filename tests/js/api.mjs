// The API's document, judged by others: it is OpenAPI 3.1, every operation in it is called, and every answer looks as it says.
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { check, options, scenario } from "./lib.mjs";

const METHODS = ["get", "post", "put", "patch", "delete"];

/** Has schemas of objects refuse what they do not name: stricter than the document, so that nothing undescribed slips in. */
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  if (copy.type === "object" && copy.properties && !("additionalProperties" in copy)) copy.additionalProperties = false;
  return copy;
}

/** The document that a server gives out, and what has been seen of it. */
class Document {
  #whole;
  #ajv;
  #seen = new Set();

  constructor(whole) {
    this.#whole = whole;
    this.#ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats(this.#ajv);
    this.#ajv.addSchema({ $id: "https://berth.invalid/api", components: closed(whole.components) });
    for (const name of this.operations()) {
      const { requestBody, responses } = this.#operation(name);
      const contents = [requestBody, ...Object.values(responses)].map((one) => this.#resolved(one)?.content ?? {});
      const schemas = contents.flatMap((content) => Object.values(content)).map(({ schema }) => schema);
      check(schemas.length > 0, `${name} answers nothing`);
      schemas.forEach((schema) => this.#validator(schema));
    }
  }

  /** Every operation as `get /api/rooms`. */
  operations() {
    return Object.entries(this.#whole.paths).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]).map((method) => `${method} ${path}`),
    );
  }

  #operation(name) {
    const [method, path] = name.split(" ");
    const operation = this.#whole.paths[path]?.[method];
    check(operation, `${name} is not in the document`);
    return operation;
  }

  #resolved(part) {
    if (!part?.$ref) return part;
    return part.$ref.slice(2).split("/").reduce((found, key) => found[key], this.#whole);
  }

  #validator(schema) {
    const text = JSON.stringify(closed(schema)).replaceAll('"#/components/', '"https://berth.invalid/api#/components/');
    return this.#ajv.compile(JSON.parse(text));
  }

  #judge(name, what, schema, body) {
    const validate = this.#validator(schema);
    check(validate(body), `${name}: ${what} ${JSON.stringify(body)}: ${this.#ajv.errorsText(validate.errors)}`);
  }

  /** Checks an answer, and what was asked when it was fine. */
  note(name, asked, status, answered) {
    const { requestBody, responses } = this.#operation(name);
    const response = this.#resolved(responses[status]);
    check(response, `${name} may not answer ${status}: ${JSON.stringify(answered)}`);
    const [[type, { schema }]] = Object.entries(response.content);
    if (type === "application/json") this.#judge(name, `answer ${status}`, schema, answered);
    if (status < 300 && asked !== undefined) {
      check(requestBody, `${name} is asked with a body that it does not describe`);
      this.#judge(name, "question", requestBody.content["application/json"].schema, asked);
    }
    this.#seen.add(`${name} ${Math.floor(status / 100)}`);
  }

  unseen() {
    return this.operations().filter((name) => !this.#seen.has(`${name} 2`));
  }
}

/** Calls operations as somebody, and checks that what is answered is described. */
class Caller {
  constructor(document, headers = {}) {
    this.document = document;
    this.headers = headers;
  }

  as(headers) {
    return new Caller(this.document, headers);
  }

  async call(name, at, body, { query = "", headers = {} } = {}) {
    const [method, path] = name.split(" ");
    const filled = at.reduce((left, value) => left.replace(/\{\w+\}/, encodeURIComponent(value)), path);
    check(!filled.includes("{"), `${name} needs more than ${at}`);
    const response = await fetch(`${options.url}${filled}${query}`, {
      method: method.toUpperCase(),
      headers: { "Content-Type": "application/json", ...this.headers, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
    const answer = isJson ? JSON.parse(text) : text;
    this.document.note(name, body, response.status, answer);
    return { status: response.status, answer, cookie: response.headers.getSetCookie()[0]?.split(";")[0], wait: response.headers.get("Retry-After") };
  }

  /** Calls, and wants this status. */
  async wants(status, name, at = [], body = undefined, more = {}) {
    const got = await this.call(name, at, body, more);
    check(got.status === status, `${name} answered ${got.status}, not ${status}: ${JSON.stringify(got.answer)}`);
    return got;
  }

  async guest(displayName) {
    const { answer, cookie } = await this.wants(200, "post /api/auth/guest", [], { displayName });
    return Object.assign(this.as({ Cookie: cookie }), { id: answer.user.id });
  }
}

async function useAccounts(nobody) {
  const login = { username: "cyd", password: "correct horse" };
  await nobody.wants(200, "post /api/auth/register", [], login);
  await nobody.wants(409, "post /api/auth/register", [], login);
  await nobody.wants(401, "post /api/auth/login", [], { ...login, password: "wrong horse" });
  await nobody.wants(400, "post /api/auth/login", [], { username: 7 });
  const { cookie } = await nobody.wants(200, "post /api/auth/login", [], login);
  const cyd = nobody.as({ Cookie: cookie });
  await cyd.wants(200, "get /api/auth/me");
  const { token } = (await cyd.wants(200, "post /api/auth/token")).answer;
  await nobody.wants(401, "post /api/auth/token");
  const byToken = nobody.as({ Authorization: `Bearer ${token}` });
  await byToken.wants(200, "get /api/auth/me");
  await cyd.wants(200, "post /api/auth/logout");
  await byToken.wants(401, "get /api/auth/me");
}

async function useRooms(ann, bob) {
  const settings = { slowModeMs: 0, readOnly: false, maxMembers: 50 };
  await ann.wants(201, "post /api/rooms", [], { name: "Team", roomId: "team", settings });
  await ann.wants(201, "post /api/rooms", [], { name: "Garden", roomId: "garden", type: "public" });
  await bob.wants(409, "post /api/rooms", [], { name: "Garden", roomId: "garden", type: "public" });
  await bob.wants(403, "get /api/rooms/{id}", ["team"]);
  await ann.wants(404, "get /api/rooms/{id}", ["nowhere"]);
  await ann.wants(200, "patch /api/rooms/{id}", ["team"], { name: "Crew" });
  const member = "/api/rooms/{id}/members/{userId}";
  await ann.wants(404, `get ${member}`, ["team", bob.id]);
  for (const body of [
    { role: "moderator", name: "Bob" },
    { role: "member" },
    { muted: true, durationMs: 60_000 },
    { banned: true, reason: "spam" },
    { banned: false },
    { muted: false },
    {},
  ]) {
    await ann.wants(200, `put ${member}`, ["team", bob.id], body);
    await ann.wants(200, `get ${member}`, ["team", bob.id]);
  }
  const opened = await ann.wants(200, "post /api/direct", [], { userId: bob.id });
  const direct = opened.answer.room.id;
  await ann.wants(201, "post /api/rooms/{id}/messages", [direct], { content: "psst" });
  const own = (await bob.wants(200, "get /api/rooms")).answer.rooms;
  check(own.some((room) => room.partner?.id === ann.id && room.unread === 1), `Bob has ${JSON.stringify(own)}`);
  const first = (await bob.wants(200, "get /api/rooms", [], undefined, { query: "?limit=1" })).answer;
  const rest = (await bob.wants(200, "get /api/rooms", [], undefined, { query: `?after=${encodeURIComponent(first.next)}` })).answer;
  check(first.rooms.length === 1 && rest.rooms.length === 1, "two pages of one room each");
  const found = await bob.wants(200, "get /api/rooms", [], undefined, { query: "?public=true&name=gARd" });
  check(found.answer.rooms.length === 1, "one public room is called so");
  await bob.wants(200, "get /api/rooms/{id}", ["team"]);
  await bob.wants(200, "get /api/rooms/{id}/members", ["team"]);
  await bob.wants(200, "get /api/rooms/{id}/presence", ["team"]);
  await ann.wants(200, `delete ${member}`, ["team", bob.id], { reason: "done" });
}

async function useMessages(ann) {
  const messages = "/api/rooms/{id}/messages";
  const key = { headers: { "Idempotency-Key": '"a key of Ann\'s"' } };
  const hello = { content: "hello", type: "text" };
  const { answer: sent } = await ann.wants(201, `post ${messages}`, ["team"], hello, key);
  const { answer: again } = await ann.wants(200, `post ${messages}`, ["team"], hello, key);
  check(again.id === sent.id && again.duplicate, `answered ${JSON.stringify(again)}`);
  await ann.wants(422, `post ${messages}`, ["team"], { content: "other" }, key);
  await ann.wants(201, `post ${messages}`, ["team"], { content: "yes", replyTo: sent.seq });
  await ann.wants(413, `post ${messages}`, ["team"], { content: "x".repeat(40_000) });
  await ann.wants(413, `post ${messages}`, ["team"], { content: "x".repeat(400_000) });
  const one = ["team", sent.seq];
  await ann.wants(200, `patch ${messages}/{seq}`, one, { content: "hi" });
  await ann.wants(200, `put ${messages}/{seq}/reactions/{emoji}`, [...one, "❤"]);
  const { answer: page } = await ann.wants(200, `get ${messages}`, ["team"]);
  const shown = page.messages.find(({ seq }) => seq === sent.seq);
  check(shown.content === "hi" && shown.reactions[0].emoji === "❤", `shown as ${JSON.stringify(shown)}`);
  await ann.wants(200, `delete ${messages}/{seq}/reactions/{emoji}`, [...one, "❤"]);
  await ann.wants(200, `delete ${messages}/{seq}`, one);
  await ann.wants(409, `patch ${messages}/{seq}`, one, { content: "too late" });
  await ann.wants(200, `get ${messages}`, ["team"], undefined, { query: "?around=1&limit=2" });
  await ann.wants(200, "post /api/rooms/{id}/read", ["team"], { seq: 2 });
}

async function useSearch(ann, bob) {
  const words = { query: "?q=yes&limit=1" };
  const { answer } = await ann.wants(200, "get /api/search", [], undefined, words);
  check(answer.messages[0]?.content === "yes", `found is ${JSON.stringify(answer)}`);
  check((await bob.wants(200, "get /api/search", [], undefined, words)).answer.messages.length === 0, "Bob finds what is not for him");
  await bob.wants(403, "get /api/search", [], undefined, { query: "?q=yes&roomId=team" });
  await ann.wants(400, "get /api/search", [], undefined, { query: "?q=yes&limit=many" });
  await ann.wants(400, "get /api/search", [], undefined, { query: "?q=" });
}

async function useAKey(nobody, ann) {
  const bot = nobody.as({ "X-Api-Key": options.botKey });
  const { answer } = await bot.wants(200, "get /api/auth/me");
  check(answer.user.id === "bot:deploy" && !answer.user.guest, `the bot is ${JSON.stringify(answer)}`);
  await bot.wants(403, "post /api/rooms/{id}/messages", ["team"], { content: "deployed" });
  await ann.wants(200, "put /api/rooms/{id}/members/{userId}", ["team", "bot:deploy"], { name: "deploy" });
  await bot.wants(201, "post /api/rooms/{id}/messages", ["team"], { content: "deployed" });
  await nobody.as({ "X-Api-Key": `${options.botKey}!` }).wants(401, "get /api/rooms");
}

async function useWebhooks(admin) {
  await admin.wants(400, "post /api/webhooks", [], { url: "nonsense" });
  const { answer } = await admin.wants(201, "post /api/webhooks", [], { url: "http://127.0.0.1:9/hook", rooms: ["team"] });
  const { id } = answer.webhook;
  const listed = (await admin.wants(200, "get /api/webhooks")).answer.webhooks;
  check(listed.some((one) => one.id === id), `listed are ${JSON.stringify(listed)}`);
  await admin.wants(200, "post /api/webhooks/{id}/resume", [id]);
  await admin.wants(200, "delete /api/webhooks/{id}", [id]);
  await admin.wants(404, "delete /api/webhooks/{id}", [id]);
}

async function giveOrders(admin, bob) {
  const { id: userId } = bob;
  await admin.wants(200, "post /api/admin/broadcast", [], { message: "hello", level: "warning", code: "HELLO" });
  await admin.wants(400, "post /api/admin/broadcast", [], { message: "hello", level: "fatal" });
  await admin.wants(200, "post /api/admin/kick", [], { userId });
  await admin.wants(400, "post /api/admin/kick", [], {});
  await bob.wants(200, "get /api/auth/me");
  await admin.wants(200, "post /api/admin/ban", [], { userId });
  await bob.wants(403, "get /api/auth/me");
  await admin.wants(200, "post /api/admin/ban", [], { userId, banned: false });
  await bob.wants(200, "get /api/auth/me");
  await admin.wants(400, "post /api/admin/drain", [], { spreadMs: 600_001 });
  await admin.wants(200, "post /api/admin/drain", [], { spreadMs: 1_000 });
  await admin.wants(503, "get /health/readiness");
  await admin.wants(200, "get /api/admin/overview");
  await admin.wants(200, "post /api/admin/drain", [], { draining: false });
  await admin.wants(200, "get /health/readiness");
}

/** The same no wherever it can be said. */
async function misuseEverything(nobody, ann) {
  const rooms = nobody.document.operations().filter((name) => /\/api\/(rooms|direct)/.test(name));
  check(rooms.length > 15, "there are rooms");
  for (const name of rooms) {
    const body = name.startsWith("get") ? undefined : {};
    const at = ["user:x", "1", "❤"].slice(0, name.split("{").length - 1);
    const mayLook = name.startsWith("get");
    const { status } = await nobody.call(name, at, body);
    check(mayLook || status === 401, `${name} lets nobody in: ${status}`);
    if (at.length > 0) await ann.wants(400, name, at, body);
  }
  for (const name of nobody.document.operations().filter((name) => /\/api\/(admin|webhooks)/.test(name))) {
    await nobody.wants(401, name, name.includes("{") ? ["x"] : [], name.startsWith("get") ? undefined : {});
  }
}

await scenario(async () => {
  const whole = await (await fetch(`${options.url}/api/openapi.json`)).json();
  const judged = await new Validator().validate(structuredClone(whole));
  check(judged.valid, `no OpenAPI document: ${JSON.stringify(judged.errors)}`);
  check(whole.openapi.startsWith("3.1."), whole.openapi);
  const nobody = new Caller(new Document(whole));
  const admin = nobody.as({ Authorization: `Bearer ${options.adminToken}` });
  const [ann, bob] = [await nobody.guest("Ann"), await nobody.guest("Bob")];
  await misuseEverything(nobody, ann);
  await useAccounts(nobody);
  await useRooms(ann, bob);
  await useMessages(ann);
  await useSearch(ann, bob);
  await useAKey(nobody, ann);
  await ann.wants(200, "delete /api/rooms/{id}", ["team"]);
  await ann.wants(404, "get /api/rooms/{id}/messages", ["team"]);
  for (const name of ["get /metrics", "get /health/liveness", "get /health/readiness", "get /api/instance", "get /api/openapi.json"]) {
    await nobody.wants(200, name);
  }
  await useWebhooks(admin);
  await admin.wants(200, "get /api/admin/overview");
  await giveOrders(admin, bob);
  const unseen = nobody.document.unseen();
  check(unseen.length === 0, `never used: ${unseen}`);
});
