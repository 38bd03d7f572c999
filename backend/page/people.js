// Who is who, as far as this window has heard: people come from presence, from what they said, from rooms of two. Pure.

// People come as `{ id, name }`, or as bare ids.
export function personOf(user) {
  if (typeof user === "string") return { id: user, name: user };
  const id = user.id ?? user.userId ?? "";
  return { id, name: user.name ?? user.senderName ?? id };
}

// Everybody who is on record in the room, is there, or said something there, by id; the newest names win.
export function peopleIn(room) {
  const onRecord = (room.members ?? []).map(({ userId, name }) => [userId, name]);
  const said = room.timeline.messages.filter(({ senderId }) => senderId).map(({ senderId, senderName }) => [senderId, senderName]);
  const here = (room.presence?.users ?? []).map(personOf).map(({ id, name }) => [id, name]);
  return new Map([...onRecord, ...said, ...here]);
}

// A function from ids to names. What it needs is only looked up when it is asked.
export function namesIn(room) {
  let people = null;
  return (id) => {
    people ??= peopleIn(room);
    return people.get(id) ?? "Somebody";
  };
}

// Those whom one met in any room and who are not in `room`: whom one might bring in.
export function strangersTo(room, rooms, isSelf) {
  const here = new Set([...(room.presence?.users ?? []).map((user) => personOf(user).id), ...(room.members ?? []).map(({ userId }) => userId)]);
  const known = new Map([...rooms].flatMap((one) => [...peopleIn(one)]));
  return [...known].filter(([id]) => !here.has(id) && !isSelf(id)).map(([id, name]) => ({ id, name })).sort((a, b) => a.name.localeCompare(b.name));
}

// A room of two is called by the other one, as far as that is known: the server only has an id for it.
export function nameOf(room, id, isSelf = () => false) {
  if (room?.info.type !== "dm") return room?.info.name || id;
  const other = [...peopleIn(room)].find(([one]) => !isSelf(one));
  return other?.[1] ?? room.info.with ?? "Somebody";
}

// "Ada", "Ada and Bob", "Ada, Bob and 3 others".
export function listed(names) {
  if (names.length < 2) return names.join("");
  if (names.length === 2) return names.join(" and ");
  const others = names.length - 2;
  return `${names[0]}, ${names[1]} and ${others === 1 ? "one other" : `${others} others`}`;
}
