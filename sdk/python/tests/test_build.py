import tempfile
import unittest
from pathlib import Path

from gristmill.build import BuildError, build, interfaces_used, world


class WhatIsUsed(unittest.TestCase):
    def used(self, source: str, **others: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {"it": source, **others}.items():
                Path(folder, f"{name}.py").write_text(text)
            return interfaces_used(Path(folder, "it.py"))

    def test_names_lead_to_their_interfaces(self) -> None:
        for source, expected in [
            ("from gristmill import handler, Message, Reject", []),
            ("from gristmill import send", ["producer"]),
            ("from gristmill import reply as answer, state", ["producer", "state"]),
            ("from gristmill.state import state", ["state"]),
            ("from gristmill import open_body", ["body"]),
            ("import gristmill\ndef f(): gristmill.secrets.get('a')", ["secrets"]),
            ("import gristmill as g\nprint(g.Reject)", []),
            ("import gristmill as g\nprint(vars(g))", ["producer", "state", "transaction", "delivery", "secrets", "body"]),
            ("# from gristmill import state\nprint('from gristmill import state')", []),
        ]:
            with self.subTest(source):
                self.assertEqual(self.used(source), expected)

    def test_files_beside_it_count_if_they_are_imported(self) -> None:
        other = "from gristmill import delivery"
        self.assertEqual(self.used("import other", other=other), ["delivery"])
        self.assertEqual(self.used("import json", other=other), [])

    def test_the_world_has_what_is_used_and_no_more(self) -> None:
        text = world(["state"])
        self.assertIn("import gristmill:queue/state@0.1.0;", text)
        self.assertNotIn("producer", text)

    def test_a_file_that_cannot_be_read_is_told_with_the_place(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "orders.py")
            path.write_text("def handle(message)\n    pass\n")
            with self.assertRaisesRegex(BuildError, r"orders\.py:1:20: expected ':'"):
                build(path, Path(folder, "orders.wasm"))
            with self.assertRaisesRegex(BuildError, "there is no file"):
                build(Path(folder, "none.py"), Path(folder, "orders.wasm"))
            path.write_text("from gristmill import handler\ndef handle(message): ...\n")
            with self.assertRaisesRegex(BuildError, "there is no handler: write `@handler`"):
                build(path, Path(folder, "orders.wasm"))
            dashed = Path(folder, "my-orders.py")
            dashed.write_text("")
            with self.assertRaisesRegex(BuildError, "one that Python can import"):
                build(dashed, Path(folder, "orders.wasm"))


if __name__ == "__main__":
    unittest.main()
