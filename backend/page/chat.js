// Puts the page together: asks for a name once, opens the room in the address, connects, and wires the parts.

import { AboutRoom } from "./about_room.js";
import { BerthChat, deviceOf } from "./berth-chat.js";
import { Chaos, FaultySocket } from "./chaos.js";
import { Composer } from "./composer.js";
import { find } from "./element.js";
import { Gate } from "./gate.js";
import { Header } from "./header.js";
import { ensureSession, offersOf, storageOf, storedName, storeName } from "./identity.js";
import { Log } from "./log.js";
import { NewRoom } from "./new_room.js";
import { membersOf, myRooms } from "./my_rooms.js";
import { nameOf } from "./people.js";
import { PersonMenu } from "./person_menu.js";
import { RoomList } from "./room_list.js";
import { Search } from "./search.js";
import { Sidebar } from "./sidebar.js";
import { Socket } from "./socket.js";
import { hashOfRoom, ROOM_DEFAULT, roomFromHash, roomName, typingLine } from "./text.js";

// Long enough to read two lines.
const ALARM_MS = 8_000;
// Who was away for more than this starts at the end; the rest is there to be loaded.
const SKIP_AFTER = 1_000;
const MARKS_MAX = 50;

const storage = storageOf("localStorage");
let ownName = storedName(storage);

const scheme = location.protocol === "https:" ? "wss" : "ws";
const faults = new FaultySocket();
const socket = new Socket(`${scheme}://${location.host}/socket.io/?EIO=4&transport=websocket`, {
  auth: () => ({ displayName: ownName, device: deviceOf(storage) }),
  world: faults.world,
});
const chat = new BerthChat({ socket, storage, locks: navigator.locks ?? null, skipAfter: SKIP_AFTER });
const list = new RoomList(storage);
let roomId = null;
// Remarks of this window between messages, by room; and after which place the divider of the open room stands.
const marks = new Map();
let lastMark = 0;
let unreadAfter = null;
let isUnreadKnown = false;
let alarmTimer = null;
let sayTimer = null;
let isDrawing = false;

const room = () => chat.rooms.get(roomId);
const isSelf = (userId) => chat.isMine({ senderId: userId });
const composer = new Composer({ chat, room: () => roomId, onSent: sent, onProblem: alarm });
const header = new Header({ socket, chat, room, ownName: () => ownName });
const menu = new PersonMenu({ chat, room, act: { direct: openDirect, said: say, problem: alarm } });
const people = { direct: openDirect, menu: (button, person) => menu.open(button, person), hasMenu: (userId) => menu.deeds(userId).some(({ key }) => key !== "direct") };
const sidebar = new Sidebar({ chat, list, open: () => roomId, leave: leaveRoom, act: people });
const newRoom = new NewRoom({ chat, made: (made) => goTo(made.id) });
const about = new AboutRoom({ chat, room, quit: quitRoom });
new Search({ room, nameOf: (id) => nameOf(chat.rooms.get(id), id, isSelf), show: goToMessage });
const log = new Log({
  chat,
  view: () => ({ room: room(), marks: marks.get(roomId) ?? [], unreadAfter }),
  act: {
    ...people,
    edit: (message) => composer.edit(message),
    answer: (message) => composer.answer(message),
    rejoin: () => chat.join(roomId),
    problem: alarm,
    toComposer: () => composer.focus(),
    sawBottom: drawSoon,
  },
});
const chaos = new Chaos({ socket, faults, chat });
const gate = new Gate({ ownName: () => ownName, enter: enterAs, forget: () => storeName(storage, "") });

chat.on("change", drawSoon);
chat.on("message", ({ room: where, message, isBacklog }) => !isBacklog && tell(where, message));
chat.on("joined", ({ room: where }) => {
  // Also one that only something unsent led back to.
  list.add(where.id);
  learnMembers(where);
  if (where.id === roomId) learnUnread();
});
chat.on("caughtUp", ({ room: where, afterSeq, missed }) => mark(where, { kind: "caughtUp", count: missed, afterSeq }));
chat.on("reset", ({ room: where }) => marks.delete(where.id));
chat.on("unsent", ({ error }) => alarm(`A message was not sent: ${error.message}`, { isInLog: true }));
chat.on("refused", ({ room: where, error }) => where.id === roomId && alarm(error.message, { isInLog: true }));
chat.on("serverNotice", ({ message, level }) => level !== "info" && alarm(message));
chat.on("roomUpdated", ({ room: about }) => {
  // With a role it is about us: somebody let us in, or wants to talk to us alone.
  const known = chat.rooms.get(about?.id);
  if (!about || (about.role === undefined && about.type !== "dm") || (known && !known.refusal)) return;
  list.add(about.id);
  chat.join(about.id, { readUpTo: 0 });
  if (about.type !== "dm") say(`You were brought into ${about.name}.`);
});
chat.on("sessionEnded", () => {
  socket.stop();
  alarm("You were logged out.");
  gate.show();
});
chat.on("welcome", ({ movedFrom, welcome, isFirst }) => {
  if (isFirst) learnRooms();
  if (movedFrom !== null && room()) mark(room(), { kind: "moved", from: movedFrom, to: welcome.instanceId });
});

// Many frames, one drawing. A hidden tab gets no animation frames but still keeps its title and its log.
function drawSoon() {
  if (isDrawing) return;
  isDrawing = true;
  const run = () => {
    isDrawing = false;
    draw();
  };
  if (document.hidden) setTimeout(run, 0);
  else requestAnimationFrame(run);
}

function draw() {
  const shown = room();
  if (!shown) return;
  if (document.hasFocus() && !document.hidden && log.isAtBottom && document.body.dataset.phase === "chat") shown.markRead();
  header.draw();
  sidebar.draw();
  log.draw();
  composer.draw();
  newRoom.draw();
  about.draw();
  const name = `${["dm", "private"].includes(shown.info.type) ? "" : "#"}${nameOf(shown, roomId, isSelf)}`;
  const unread = [...chat.rooms.values()].reduce((sum, one) => sum + one.unread, 0);
  document.title = `${unread > 0 ? `(${unread}) ` : ""}${name} · Berth`;
  find("message-input").placeholder = `Message ${name}`;
  find("gate-room").textContent = name;
  find("own-name").textContent = chat.welcome?.name ?? ownName;
  find("typing").textContent = typingLine(shown.typing, chat.welcome?.userId);
}

// What others just said: read aloud and counted. The backlog and one's own words are not news.
let news = [];
function tell(where, message) {
  if (where.id !== roomId || message.kind !== "message" || chat.isMine(message)) return;
  log.addUnseen(1);
  if (news.length === 0) queueMicrotask(announce);
  news.push(message);
}

function announce() {
  const { senderName, content } = news.at(-1);
  find("announce").textContent = news.length > 3 ? `${news.length} new messages` : `${senderName}: ${content}`;
  news = [];
}

// Said at once to a screen reader; shown for a while unless the log shows it where it belongs.
function alarm(text, { isInLog = false } = {}) {
  const field = find("alarm");
  field.className = isInLog ? "hidden" : "toast";
  field.textContent = text;
  clearTimeout(alarmTimer);
  alarmTimer = setTimeout(() => (field.textContent = ""), ALARM_MS);
}

// Shown for a while, and read aloud when there is time.
function say(text) {
  const field = find("said");
  field.textContent = text;
  clearTimeout(sayTimer);
  sayTimer = setTimeout(() => (field.textContent = ""), ALARM_MS);
}

function mark(where, remark) {
  const id = ++lastMark;
  const afterSeq = where.timeline.messages.at(-1)?.seq ?? 0;
  marks.set(where.id, [...(marks.get(where.id) ?? []), { id, afterSeq, ...remark }].slice(-MARKS_MAX));
  drawSoon();
}

function openRoom() {
  const next = roomFromHash(location.hash);
  // The address always tells where we are, so that it can be shared.
  if (location.hash !== hashOfRoom(next)) history.replaceState(null, "", hashOfRoom(next));
  if (next === roomId) return;
  const before = roomId;
  const surplus = list.add(next);
  if (surplus !== null) chat.leave(surplus);
  chat.join(next);
  roomId = next;
  isUnreadKnown = false;
  unreadAfter = null;
  learnUnread();
  log.clear();
  if (before !== null) composer.switchRoom(before, next);
  drawSoon();
}

// A browser that was never in them learns of this person's rooms.
async function learnRooms() {
  for (const { id, lastReadSeq } of list.learn(await myRooms())) chat.join(id, { readUpTo: lastReadSeq });
  drawSoon();
}

// In rooms with a list of members: how they are called, and how far they have read.
async function learnMembers(where) {
  if (where.info.type !== "private" && where.info.type !== "dm") return;
  where.members = await membersOf(where.id);
  for (const { userId, lastReadSeq } of where.members) where.readBy(userId, lastReadSeq);
  drawSoon();
}

// The divider stands where reading stopped, as soon as that is known, and stays there while one reads on.
function learnUnread() {
  const { lastReadSeq, timeline, unread } = room();
  if (isUnreadKnown || timeline.cursor === null) return;
  isUnreadKnown = true;
  unreadAfter = unread > 0 ? lastReadSeq : null;
}

function leaveRoom(id) {
  list.remove(id);
  marks.delete(id);
  chat.leave(id);
  drawSoon();
}

async function quitRoom(id) {
  try {
    await chat.quit(id);
    goTo(list.ids.find((other) => other !== id) ?? ROOM_DEFAULT);
    leaveRoom(id);
  } catch (error) {
    alarm(`The room was not left: ${error.message}`);
  }
}

function goTo(id) {
  location.hash = hashOfRoom(id);
  sidebar.toggle(false);
}

async function goToMessage(id, seq) {
  goTo(id);
  try {
    await chat.join(id);
    if (id === roomId) await log.jumpTo(seq);
  } catch (error) {
    alarm(error.message);
  }
}

async function openDirect(userId) {
  try {
    const { id } = await chat.openDirect(userId);
    goTo(id);
    composer.focus();
  } catch (error) {
    alarm(`That conversation could not be opened: ${error.message}`);
  }
}

function sent() {
  unreadAfter = null;
  log.toBottom();
}

async function enterAs(name) {
  const isOther = name !== ownName;
  const isKnown = ownName !== "";
  ownName = name;
  storeName(storage, name);
  composer.focus();
  drawSoon();
  await ensureSession(name, { isKnown });
  // A connection keeps the name it was made with.
  if (socket.state === "stopped") socket.start();
  else if (isOther) socket.renew("new name");
}

find("rename").addEventListener("click", () => {
  sidebar.toggle(false);
  gate.show();
});
find("skip").addEventListener("click", (event) => {
  event.preventDefault();
  composer.focus();
});
find("room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = roomName(find("room-input").value);
  if (name === null) return;
  location.hash = hashOfRoom(name);
  find("room-input").value = "";
  sidebar.toggle(false);
  if (document.body.dataset.phase === "chat") composer.focus();
});

addEventListener("hashchange", openRoom);
addEventListener("storage", (event) => chat.heard(event));
addEventListener("online", () => chat.wake());
addEventListener("focus", drawSoon);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    unreadAfter = room().timeline.cursor;
    return;
  }
  chat.wake();
  drawSoon();
});

for (const id of list.ids) chat.join(id);
openRoom();
if (ownName === "") gate.show();
else {
  document.body.dataset.phase = "chat";
  enterAs(ownName);
}
const offers = await offersOf();
gate.offer(offers);
chaos.offer(offers.trial);
