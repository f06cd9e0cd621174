// A transform of asc: AssemblyScript cannot write the names of the interface, so exports get them here.

const NAMES = {
  handle: "gristmill:queue/handler@0.1.0#handle",
  handled: "cabi_post_gristmill:queue/handler@0.1.0#handle",
};

export default class Names {
  afterCompile(module) {
    for (const [own, name] of Object.entries(NAMES)) {
      module.removeExport(own);
      module.addFunctionExport(`gristmill/entry/${own}`, name);
    }
  }
}
