# kill9.SharedDict: what docs/bindings.md promises. `python3 shared_dict_test.py`.
import gc, os, random, signal, time, unittest

import kill9

DESIGNS = ["global_mutex", "striped_locks", "cas_slots", "seqlock_ring"]


class SharedDictTest(unittest.TestCase):
    def each_design(self):
        for design in DESIGNS:
            with self.subTest(design=design):
                yield kill9.SharedDict(design=design, size=4 << 20)

    def in_child(self, work):
        child = os.fork()
        if child == 0:
            try:
                work()
                os._exit(0)
            finally:
                os._exit(1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_insert_in_the_child_and_in_the_parent(self):
        for shared in self.each_design():
            self.in_child(lambda: shared.__setitem__("of the child", "1"))
            shared["of the parent"] = b"2"
            both = {b"of the child": b"1", b"of the parent": b"2"}
            self.assertEqual(dict(shared.items()), both)

            def child_sees_both():
                assert dict(shared.items()) == both

            self.in_child(child_sees_both)
            self.assertIsNone(shared.audit())

    def test_answers_as_a_dict_does(self):
        for shared in self.each_design():
            shared["a"] = "ä\0b"
            self.assertEqual(shared["a"].decode(), "ä\0b")
            self.assertIn("a", shared)
            self.assertNotIn(b"b", shared)
            self.assertIsNone(shared.get("b"))
            self.assertEqual(shared.get("b", 7), 7)
            with self.assertRaises(KeyError):
                shared["b"]
            del shared["a"]
            with self.assertRaises(KeyError):
                del shared["a"]
            with self.assertRaises(ValueError):
                shared[""] = "x"
            with self.assertRaises(TypeError):
                shared["x"] = 1

    def test_swaps_the_version_that_was_read(self):
        for shared in self.each_design():
            self.assertEqual(shared.versioned("a"), (None, 0))
            first = shared.compare_and_swap("a", 0, "1")
            self.assertEqual(shared.versioned("a"), (b"1", first))
            self.assertIsNone(shared.compare_and_swap("a", 0, "2"))
            self.assertGreater(shared.compare_and_swap("a", first, "2"), first)

    def test_pinned_view_stays_and_is_given_back(self):
        for shared in self.each_design():
            shared["a"] = b"old" * 100
            view = shared.pin("a")
            self.assertIsNone(shared.pin("b"))
            self.assertTrue(view.readonly)
            part = view[200:]
            del view
            for n in range(50):
                shared["a"] = shared[f"other {n}"] = b"new" * 100
            self.assertEqual(part, (b"old" * 100)[200:])
            for _ in range(5000):  # more than the ledger has room for at once
                shared.pin("a")
            kept = part
            del shared, part  # the view outlives the name of its dict
            gc.collect()
            self.assertEqual(kept, (b"old" * 100)[200:])

    def test_pin_of_the_parent_is_nothing_to_the_child(self):
        for shared in self.each_design():
            shared["a"] = b"old" * 100
            view = shared.pin("a")

            def release_in_child():
                shared["b"] = "1"
                view.release()
                shared["a"] = b"new" * 100

            self.in_child(release_in_child)
            self.assertEqual(view, b"old" * 100)
            self.assertIsNone(shared.audit())

    def test_survivors_go_on_after_a_kill(self):
        for shared in self.each_design():
            for _ in range(10):
                victim = os.fork()
                while victim == 0:
                    shared[f"k{random.randrange(8)}"] = b"v" * random.randrange(2000)
                time.sleep(0.01)
                os.kill(victim, signal.SIGKILL)
                os.waitpid(victim, 0)
                self.assertLessEqual(shared.recover(), 1)
                for n in range(8):
                    shared[f"k{n}"] = b"after"
                self.assertTrue(all(shared[f"k{n}"] == b"after" for n in range(8)))
                self.assertIsNone(shared.audit())

    def test_named(self):
        name = f"kill9-python-test-{os.getpid()}"
        first = kill9.SharedDict(name=name, design="cas_slots", size=4 << 20)
        second = kill9.SharedDict(name=name)
        first["a"] = "1"
        self.assertEqual(second["a"], b"1")
        with self.assertRaises(kill9.Error):
            kill9.SharedDict(name=name, design="global_mutex")
        self.assertTrue(kill9.unlink(name))
        self.assertFalse(kill9.unlink(name))

    def test_an_unknown_design(self):
        with self.assertRaisesRegex(ValueError, "there are global_mutex"):
            kill9.SharedDict(design="none")


if __name__ == "__main__":
    unittest.main()
