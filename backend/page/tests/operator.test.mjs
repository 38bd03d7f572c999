// What an operator asks of the servers: whom it reaches, and what it is told.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Operator } from "../operator.js";

/** A server that answers these, one after the other, and remembers what it was asked. */
function server(...answers) {
  const asked = [];
  const fetch = async (path, { method, headers, body, credentials }) => {
    asked.push({ method, path, headers, credentials, body: body === undefined ? undefined : JSON.parse(body) });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    const [status, said] = answer;
    return { ok: status < 300, status, json: async () => said };
  };
  return { asked, operator: new Operator("secret", fetch) };
}

describe("an operator", () => {
  test("shows the token, and no cookie that would lead to the same instance each time", async () => {
    const { asked, operator } = server([200, { ok: true }]);
    assert.deepEqual(await operator.tellEverybody("we move", "warning"), { ok: true, status: 200 });
    const [{ method, path, headers, credentials, body }] = asked;
    assert.deepEqual([method, path, credentials], ["POST", "/api/admin/broadcast", "omit"]);
    assert.equal(headers.authorization, "Bearer secret");
    assert.deepEqual(body, { message: "we move", level: "warning" });
  });

  test("hears why something was not done, and that nobody answers", async () => {
    const { operator } = server([400, { ok: false, error: { message: "no such user" } }], new TypeError("network"));
    assert.equal((await operator.kick("x")).error.message, "no such user");
    const answer = await operator.ban("x", true);
    assert.deepEqual([answer.ok, answer.status], [false, 0]);
    assert.ok(answer.error.message.length > 0);
  });

  test("asks on until the instance that is meant answers, where instances do not reach each other", async () => {
    const other = [409, { ok: false, error: { message: "this is backend-1" } }];
    const { asked, operator } = server(other, other, [200, { ok: true, state: "draining" }]);
    assert.equal((await operator.drain("backend-2", true, 5_000)).state, "draining");
    assert.equal(asked.length, 3);
    assert.deepEqual(asked[2].body, { instanceId: "backend-2", draining: true, spreadMs: 5_000 });
  });

  test("gives up when it never does", async () => {
    const { asked, operator } = server([409, { ok: false, error: { message: "this is backend-1" } }]);
    assert.equal((await operator.drain("backend-2", false)).ok, false);
    assert.ok(asked.length > 10 && asked.length < 100);
    assert.deepEqual(asked[0].body, { instanceId: "backend-2", draining: false });
  });
});
