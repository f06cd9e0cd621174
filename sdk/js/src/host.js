// Where the interfaces of the host are found: those that the component imports, or those of a fake
// delivery in a test. Knows neither; whoever starts a handler binds them.

const bound = {};
let running = false;

/** Makes interfaces known by their names: `{ producer, state, … }`. Those given as `undefined` are forgotten. */
export function bind(interfaces) {
  Object.assign(bound, interfaces);
}

/** Which interfaces are bound now, so that they can be bound again. */
export function binding() {
  return { ...bound };
}

/** Says that a handler runs, or that it has ended. */
export function setRunning(is) {
  running = is;
}

/** Whether a handler runs. It does not while a module is built, when its top level is run. */
export function isRunning() {
  return running;
}

/** The interface of this name, while a handler runs. */
export function host(name) {
  if (!running) {
    throw new Error(
      `${name} can be used only while a message is handled: not at the top level of a module, and in a test within Delivery.run`,
    );
  }
  const found = bound[name];
  if (!found) {
    throw new Error(`this component does not import gristmill:queue/${name}: build it anew`);
  }
  return found;
}

/** Calls the host. What it throws is the payload of a WIT error, wrapped by some engines. */
export function call(work, translate) {
  try {
    return work();
  } catch (thrown) {
    const payload = thrown instanceof Error && "payload" in thrown ? thrown.payload : thrown;
    if (payload instanceof Error) throw payload;
    throw translate(typeof payload === "string" ? { tag: payload } : payload);
  }
}
