/* kill9.SharedDict: a map of bytes in memory that forked processes share (docs/bindings.md).
 *
 * A memoryview that pin() gives shows the value itself, in the shared memory, which is pinned as
 * long as somebody shows it. Calls are made while Python's own lock is held: a handle has one
 * thread at a time. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <kill9/store.h>

typedef struct {
  PyObject_HEAD kill9_store* store;
} SharedDict;

typedef struct {
  PyObject_HEAD kill9_store_value value;
  SharedDict* dict;
} Pin;

static PyObject* error_class;

/* OK and `allowed` are answers; of what else a call says, -1 and an exception. */
static int check(int outcome, int allowed) {
  if (outcome == KILL9_STORE_OK || outcome == allowed) return outcome;
  PyErr_SetString(outcome == KILL9_STORE_INVALID ? PyExc_ValueError : error_class,
                  kill9_store_message());
  return -1;
}

static int is_open(SharedDict* self) {
  if (self->store != NULL) return 1;
  PyErr_SetString(error_class, "the dict is closed");
  return 0;
}

/* What shows the value. */

static int pin_buffer(PyObject* object, Py_buffer* view, int flags) {
  Pin* self = (Pin*)object;
  return PyBuffer_FillInfo(view, object, (void*)self->value.bytes, (Py_ssize_t)self->value.size, 1,
                           flags);
}

static void pin_dealloc(PyObject* object) {
  Pin* self = (Pin*)object;
  kill9_store_release(&self->value);
  Py_XDECREF(self->dict);
  Py_TYPE(object)->tp_free(object);
}

static PyBufferProcs pin_as_buffer = {.bf_getbuffer = pin_buffer};
static PyTypeObject pin_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "kill9.Pin",
    .tp_basicsize = sizeof(Pin),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = pin_dealloc,
    .tp_as_buffer = &pin_as_buffer,
};

/* The dict. */

static int dict_init(PyObject* object, PyObject* arguments, PyObject* named) {
  static char* names[] = {"name", "design", "size", "entries", "participants", NULL};
  SharedDict* self = (SharedDict*)object;
  kill9_store_options options = {.struct_size = sizeof options};
  unsigned long long bytes = 0, entries = 0;
  unsigned int participants = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, named, "|$zzKKI", names, &options.name,
                                   &options.design, &bytes, &entries, &participants)) {
    return -1;
  }
  if (self->store != NULL) {
    PyErr_SetString(error_class, "it is initialised already");
    return -1;
  }
  options.bytes = bytes;
  options.entries = entries;
  options.participants = participants;
  return check(kill9_store_open_or_create(&options, &self->store), 0);
}

static void dict_dealloc(PyObject* object) {
  kill9_store_close(((SharedDict*)object)->store);
  Py_TYPE(object)->tp_free(object);
}

/* A text is its UTF-8; what else has bytes is them. */
static int bytes_of(PyObject* object, Py_buffer* view) {
  if (!PyUnicode_Check(object)) return PyObject_GetBuffer(object, view, PyBUF_SIMPLE);
  Py_ssize_t size;
  const char* text = PyUnicode_AsUTF8AndSize(object, &size);
  if (text == NULL) return -1;
  return PyBuffer_FillInfo(view, object, (void*)text, size, 1, PyBUF_SIMPLE);
}

/* get(key) of any form: OK, ABSENT, or -1. */
static int look_up(SharedDict* self, PyObject* key, kill9_store_value* value) {
  Py_buffer bytes;
  value->struct_size = sizeof *value;
  if (!is_open(self) || bytes_of(key, &bytes) < 0) return -1;
  const int outcome =
      check(kill9_store_get(self->store, bytes.buf, (size_t)bytes.len, value), KILL9_STORE_ABSENT);
  PyBuffer_Release(&bytes);
  return outcome;
}

static PyObject* value_of(const kill9_store_value* value) {
  return PyBytes_FromStringAndSize(value->bytes, (Py_ssize_t)value->size);
}

static PyObject* dict_subscript(PyObject* object, PyObject* key) {
  kill9_store_value value;
  const int outcome = look_up((SharedDict*)object, key, &value);
  if (outcome == KILL9_STORE_ABSENT) PyErr_SetObject(PyExc_KeyError, key);
  return outcome == KILL9_STORE_OK ? value_of(&value) : NULL;
}

static int dict_set(PyObject* object, PyObject* key, PyObject* value) {
  SharedDict* self = (SharedDict*)object;
  Py_buffer key_bytes, value_bytes;
  if (!is_open(self) || bytes_of(key, &key_bytes) < 0) return -1;
  int outcome;
  if (value == NULL) {
    outcome = check(kill9_store_erase(self->store, key_bytes.buf, (size_t)key_bytes.len),
                    KILL9_STORE_ABSENT);
    if (outcome == KILL9_STORE_ABSENT) PyErr_SetObject(PyExc_KeyError, key);
  } else if (bytes_of(value, &value_bytes) < 0) {
    outcome = -1;
  } else {
    outcome = check(kill9_store_put(self->store, key_bytes.buf, (size_t)key_bytes.len,
                                    value_bytes.buf, (size_t)value_bytes.len, NULL),
                    0);
    PyBuffer_Release(&value_bytes);
  }
  PyBuffer_Release(&key_bytes);
  return outcome == KILL9_STORE_OK ? 0 : -1;
}

static int dict_contains(PyObject* object, PyObject* key) {
  kill9_store_value value;
  const int outcome = look_up((SharedDict*)object, key, &value);
  return outcome < 0 ? -1 : outcome == KILL9_STORE_OK;
}

static PyObject* dict_get(PyObject* object, PyObject* arguments) {
  PyObject *key, *otherwise = Py_None;
  kill9_store_value value;
  if (!PyArg_ParseTuple(arguments, "O|O", &key, &otherwise)) return NULL;
  const int outcome = look_up((SharedDict*)object, key, &value);
  if (outcome == KILL9_STORE_OK) return value_of(&value);
  return outcome < 0 ? NULL : Py_NewRef(otherwise);
}

static PyObject* dict_versioned(PyObject* object, PyObject* key) {
  kill9_store_value value;
  const int outcome = look_up((SharedDict*)object, key, &value);
  if (outcome < 0) return NULL;
  if (outcome != KILL9_STORE_OK) return Py_BuildValue("(Oi)", Py_None, 0);
  return Py_BuildValue("(NK)", value_of(&value), (unsigned long long)value.version);
}

static PyObject* dict_compare_and_swap(PyObject* object, PyObject* arguments) {
  SharedDict* self = (SharedDict*)object;
  PyObject *key, *value;
  unsigned long long expected;
  uint64_t version = 0;
  Py_buffer key_bytes, value_bytes;
  if (!PyArg_ParseTuple(arguments, "OKO", &key, &expected, &value) || !is_open(self) ||
      bytes_of(key, &key_bytes) < 0) {
    return NULL;
  }
  if (bytes_of(value, &value_bytes) < 0) {
    PyBuffer_Release(&key_bytes);
    return NULL;
  }
  const int outcome = check(
      kill9_store_compare_and_swap(self->store, key_bytes.buf, (size_t)key_bytes.len, expected,
                                   value_bytes.buf, (size_t)value_bytes.len, &version),
      KILL9_STORE_MISMATCH);
  PyBuffer_Release(&value_bytes);
  PyBuffer_Release(&key_bytes);
  if (outcome < 0) return NULL;
  if (outcome == KILL9_STORE_MISMATCH) Py_RETURN_NONE;
  return PyLong_FromUnsignedLongLong(version);
}

static PyObject* dict_pin(PyObject* object, PyObject* key) {
  SharedDict* self = (SharedDict*)object;
  Py_buffer bytes;
  if (!is_open(self) || bytes_of(key, &bytes) < 0) return NULL;
  Pin* pin = PyObject_New(Pin, &pin_type);
  if (pin == NULL) {
    PyBuffer_Release(&bytes);
    return NULL;
  }
  pin->value = (kill9_store_value){.struct_size = sizeof pin->value};
  pin->dict = (SharedDict*)Py_NewRef(object);
  const int outcome = check(kill9_store_pin(self->store, bytes.buf, (size_t)bytes.len, &pin->value),
                            KILL9_STORE_ABSENT);
  PyBuffer_Release(&bytes);
  PyObject* view = NULL;
  if (outcome == KILL9_STORE_OK) view = PyMemoryView_FromObject((PyObject*)pin);
  if (outcome == KILL9_STORE_ABSENT) view = Py_NewRef(Py_None);
  Py_DECREF(pin);
  return view;
}

/* Making objects may collect garbage, and so end a pin: the entries are copied first, and no lock
 * of the store is held while objects are made. */
typedef struct {
  char* bytes;
  size_t size, room;
  int is_full;
} Copies;

static void append(Copies* all, const void* bytes, size_t size) {
  if (all->is_full) return;
  if (all->size + size > all->room) {
    const size_t room = 2 * (all->room + size) + 4096;
    char* larger = realloc(all->bytes, room);
    if (larger == NULL) {
      all->is_full = 1;
      return;
    }
    all->bytes = larger;
    all->room = room;
  }
  memcpy(all->bytes + all->size, bytes, size);
  all->size += size;
}

static int copy_entry(void* receiver, const char* key, size_t key_bytes, const char* value,
                      size_t value_bytes, uint64_t version) {
  Copies* all = receiver;
  (void)version;
  append(all, &key_bytes, sizeof key_bytes);
  append(all, key, key_bytes);
  append(all, &value_bytes, sizeof value_bytes);
  append(all, value, value_bytes);
  return !all->is_full;
}

static PyObject* next_bytes(const char** at) {
  size_t size;
  memcpy(&size, *at, sizeof size);
  PyObject* bytes = PyBytes_FromStringAndSize(*at + sizeof size, (Py_ssize_t)size);
  *at += sizeof size + size;
  return bytes;
}

static PyObject* dict_items(PyObject* object, PyObject* ignored) {
  SharedDict* self = (SharedDict*)object;
  Copies all = {0};
  (void)ignored;
  if (!is_open(self)) return NULL;
  const int outcome = check(kill9_store_each(self->store, copy_entry, &all), 0);
  if (outcome == 0 && all.is_full) PyErr_NoMemory();
  PyObject* items = PyErr_Occurred() ? NULL : PyList_New(0);
  for (const char* at = all.bytes; items != NULL && at != all.bytes + all.size;) {
    PyObject* key = next_bytes(&at);
    PyObject* value = next_bytes(&at);
    PyObject* item = key != NULL && value != NULL ? PyTuple_Pack(2, key, value) : NULL;
    if (item == NULL || PyList_Append(items, item) < 0) Py_CLEAR(items);
    Py_XDECREF(key);
    Py_XDECREF(value);
    Py_XDECREF(item);
  }
  free(all.bytes);
  return items;
}

static PyObject* dict_recover(PyObject* object, PyObject* ignored) {
  SharedDict* self = (SharedDict*)object;
  kill9_store_recovered recovered = {.struct_size = sizeof recovered};
  (void)ignored;
  if (!is_open(self) || check(kill9_store_recover(self->store, &recovered), 0) < 0) return NULL;
  return PyLong_FromUnsignedLongLong(recovered.participants);
}

static PyObject* dict_audit(PyObject* object, PyObject* ignored) {
  SharedDict* self = (SharedDict*)object;
  kill9_store_account account = {.struct_size = sizeof account};
  (void)ignored;
  if (!is_open(self) || check(kill9_store_audit(self->store, &account), 0) < 0) return NULL;
  if (account.violation[0] != 0) return PyUnicode_FromString(account.violation);
  if (account.leaked_blocks + account.doubly_owned_blocks == 0) Py_RETURN_NONE;
  return PyUnicode_FromFormat("%llu blocks leaked, %llu owned twice",
                              (unsigned long long)account.leaked_blocks,
                              (unsigned long long)account.doubly_owned_blocks);
}

static PyMappingMethods dict_as_mapping = {.mp_subscript = dict_subscript,
                                           .mp_ass_subscript = dict_set};
static PySequenceMethods dict_as_sequence = {.sq_contains = dict_contains};
static PyMethodDef dict_methods[] = {
    {"get", dict_get, METH_VARARGS, "get(key, default=None): a copy of the value"},
    {"versioned", dict_versioned, METH_O, "versioned(key): (value, version), or (None, 0)"},
    {"compare_and_swap", dict_compare_and_swap, METH_VARARGS,
     "compare_and_swap(key, version, value): the new version, or None if it is another by now"},
    {"pin", dict_pin, METH_O, "pin(key): a memoryview of the value itself, or None"},
    {"items", dict_items, METH_NOARGS, "items(): copies of all (key, value)"},
    {"recover", dict_recover, METH_NOARGS, "recover(): repairs after dead processes; how many"},
    {"audit", dict_audit, METH_NOARGS, "audit(): None, or what is broken; nobody is at work"},
    {NULL, NULL, 0, NULL}};
static PyTypeObject dict_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "kill9.SharedDict",
    .tp_basicsize = sizeof(SharedDict),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc =
        "SharedDict(*, name=None, design=None, size=0, entries=0, participants=0): opens the "
        "map of this name, or makes it; without a name it is shared by fork",
    .tp_new = PyType_GenericNew,
    .tp_init = dict_init,
    .tp_dealloc = dict_dealloc,
    .tp_as_mapping = &dict_as_mapping,
    .tp_as_sequence = &dict_as_sequence,
    .tp_methods = dict_methods,
};

static PyObject* unlink_name(PyObject* module, PyObject* arguments) {
  const char* name;
  (void)module;
  if (!PyArg_ParseTuple(arguments, "s", &name)) return NULL;
  const int outcome = check(kill9_store_unlink(name), KILL9_STORE_ABSENT);
  return outcome < 0 ? NULL : PyBool_FromLong(outcome == KILL9_STORE_OK);
}

static PyMethodDef module_methods[] = {
    {"unlink", unlink_name, METH_VARARGS, "unlink(name): whether there was one"},
    {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "kill9", .m_size = -1,
                                    .m_methods = module_methods};

PyMODINIT_FUNC PyInit_kill9(void) {
  if (PyType_Ready(&pin_type) < 0 || PyType_Ready(&dict_type) < 0) return NULL;
  PyObject* made = PyModule_Create(&module);
  if (made == NULL) return NULL;
  error_class = PyErr_NewException("kill9.Error", NULL, NULL);
  if (error_class == NULL || PyModule_AddObjectRef(made, "Error", error_class) < 0 ||
      PyModule_AddObjectRef(made, "SharedDict", (PyObject*)&dict_type) < 0) {
    Py_DECREF(made);
    return NULL;
  }
  return made;
}
