// Puts the page together: asks for a name once, opens the room in the address, connects, and wires the controls.

import { Conversation } from "./conversation.js";
import { Header } from "./header.js";
import { cleanName, ensureSession, storageOf, storedName, storeName } from "./identity.js";
import { Log } from "./log.js";
import { Outbox } from "./outbox.js";
import { Socket } from "./socket.js";
import { byteLength, hashOfRoom, roomFromHash, roomName } from "./text.js";

const find = (id) => document.getElementById(id);
const storage = storageOf("localStorage");
// Until the server says otherwise.
const CONTENT_BYTES_MAX = 4_096;

// Long enough to read two lines.
const ALARM_MS = 8_000;

let ownName = storedName(storage);

const scheme = location.protocol === "https:" ? "wss" : "ws";
const socket = new Socket(`${scheme}://${location.host}/socket.io/?EIO=4&transport=websocket`, {
  auth: () => ({ displayName: ownName }),
});
const outbox = new Outbox(storage);
const conversation = new Conversation({ socket, outbox, onChange: drawSoon, onFresh: tell, onProblem: alarm });
const header = new Header({ socket, conversation, storage, ownName: () => ownName });
const log = new Log({ list: find("messages"), scroller: find("scroller"), jump: find("jump"), conversation });

let alarmTimer = null;
let drawing = false;
let unread = 0;

// Many frames, one drawing. A hidden tab gets no animation frames but still keeps its title and its log.
function drawSoon() {
  if (drawing) return;
  drawing = true;
  const run = () => {
    drawing = false;
    draw();
  };
  if (document.hidden) setTimeout(run, 0);
  else requestAnimationFrame(run);
}

function draw() {
  header.draw();
  log.draw();
  const { room } = conversation;
  document.title = `${unread > 0 ? `(${unread}) ` : ""}#${room} · Berth`;
  find("message-input").placeholder = `Message #${room}`;
  find("gate-room").textContent = `#${room}`;
  find("own-name").textContent = ownName;
  drawComposer();
}

// What others just said: read aloud, counted while nobody looks. The backlog and one's own words are not news.
function tell(messages) {
  const theirs = messages.filter((message) => !conversation.isMine(message));
  if (theirs.length === 0) return;
  log.addUnseen(theirs.length);
  if (document.hidden) unread += theirs.length;
  const { senderName, content } = theirs.at(-1);
  find("announce").textContent = theirs.length > 3 ? `${theirs.length} new messages` : `${senderName}: ${content}`;
}

// Said at once to a screen reader; shown for a while unless the log shows it where it belongs.
function alarm(text, { isInLog = false } = {}) {
  const field = find("alarm");
  field.className = isInLog ? "hidden" : "toast";
  field.textContent = text;
  clearTimeout(alarmTimer);
  alarmTimer = setTimeout(() => (field.textContent = ""), ALARM_MS);
}

function openRoom() {
  const room = roomFromHash(location.hash);
  // The address always tells where we are, so that it can be shared.
  if (location.hash !== hashOfRoom(room)) history.replaceState(null, "", hashOfRoom(room));
  conversation.enter(room);
  header.remember(room);
  log.toBottom();
  drawSoon();
}

function showGate() {
  document.body.dataset.phase = "gate";
  find("gate").hidden = false;
  find("name-input").value = ownName;
  find("name-input").select();
  find("name-input").focus();
}

async function enterAs(name) {
  const isOther = name !== ownName;
  const isKnown = ownName !== "";
  ownName = name;
  storeName(storage, name);
  document.body.dataset.phase = "chat";
  find("gate").hidden = true;
  find("message-input").focus();
  await ensureSession(name, { isKnown });
  // A connection keeps the name it was made with.
  if (socket.state === "stopped") socket.start();
  else if (isOther) socket.renew("new name");
}

function drawComposer() {
  const input = find("message-input");
  const limit = conversation.welcome?.limits?.maxContent ?? CONTENT_BYTES_MAX;
  const surplus = byteLength(input.value) - limit;
  find("too-long").hidden = surplus <= 0;
  find("keys").hidden = surplus > 0;
  find("too-long").textContent = surplus > 0 ? `Too long by ${surplus} ${surplus === 1 ? "byte" : "bytes"}` : "";
  input.setAttribute("aria-invalid", String(surplus > 0));
  const isEmpty = input.value.trim() === "";
  document.querySelector("[data-testid=send-button]").disabled = isEmpty || surplus > 0 || outbox.isFull;
  // The field grows with its text up to what the style allows.
  input.rows = 1;
  while (input.rows < 8 && input.scrollHeight > input.clientHeight) input.rows += 1;
}

function send() {
  const input = find("message-input");
  if (document.querySelector("[data-testid=send-button]").disabled) return;
  conversation.say(input.value.trim());
  input.value = "";
  drawComposer();
  log.toBottom();
}

find("gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = cleanName(find("name-input").value);
  if (name !== "") enterAs(name);
});

find("room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const room = roomName(find("room-input").value);
  if (room !== null) location.hash = hashOfRoom(room);
  find("room-input").value = roomFromHash(location.hash);
  find(document.body.dataset.phase === "gate" ? "name-input" : "message-input").focus();
});
find("room-input").addEventListener("blur", drawSoon);
find("room-input").addEventListener("focus", (event) => event.target.select());

find("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
find("message-input").addEventListener("input", drawComposer);
find("message-input").addEventListener("keydown", (event) => {
  // While an input method composes, Enter chooses a word; 229 is how Safari says so.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  send();
});
find("rename").addEventListener("click", showGate);
find("gate").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && ownName !== "") enterAs(ownName);
});

addEventListener("hashchange", openRoom);
addEventListener("online", () => wake());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  wake();
  drawSoon();
});

function wake() {
  socket.wake();
  conversation.probe();
}

openRoom();
if (ownName === "") showGate();
else enterAs(ownName);
