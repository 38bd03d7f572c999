// Makes elements. Text only ever enters as text nodes, whatever it looks like.

export function element(tag, properties = {}, ...children) {
  const { dataset = {}, aria = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, dataset);
  for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
  made.append(...children);
  return made;
}

export function hidden(text) {
  return element("span", { className: "hidden" }, text);
}

export const find = (id) => document.getElementById(id);

// Brings a list's children into the order of `items`, keeping those that are there already, with focus and all.
// `nodes` remembers them by key.
export function arrange(list, nodes, items, { keyOf, make, update = () => {} }) {
  const kept = new Set(items.map(keyOf));
  for (const [key, node] of nodes) {
    if (kept.has(key)) continue;
    node.remove();
    nodes.delete(key);
  }
  let at = list.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    const node = nodes.get(key) ?? make(item);
    nodes.set(key, node);
    update(node, item);
    if (node === at) at = at.nextSibling;
    else list.insertBefore(node, at);
  }
}
