/* Kill9::SharedHash: a hash of strings in memory that forked processes share (docs/bindings.md).
 *
 * A string that SharedHash#pin gives is the value itself, in the shared memory: frozen, and pinned
 * as long as the string, or one that shares its bytes, is reachable. The garbage collector ends a
 * pin; it must not call the store (it may run while the store is at work), so it puts the pin on a
 * list, which the next call gives back. */
#include <kill9/store.h>
#include <ruby.h>
#include <ruby/encoding.h>

typedef struct pin {
  kill9_store_value value;
  struct hash* hash;
  struct pin* next;
} pin;

typedef struct hash {
  kill9_store* store;
  pin* ended;       /* to be given back */
  size_t pins;      /* that are not given back, and keep this structure alive */
  int is_collected; /* the object is gone */
} hash;

static VALUE error_class, pin_class;

static void give_back_ended(hash* self) {
  while (self->ended != NULL) {
    pin* first = self->ended;
    self->ended = first->next;
    kill9_store_release(&first->value);
    free(first);
    --self->pins;
  }
}

static void free_if_unused(hash* self) {
  if (!self->is_collected || self->pins > 0) return;
  kill9_store_close(self->store);
  free(self);
}

static void collect_hash(void* data) {
  hash* self = data;
  self->is_collected = 1;
  give_back_ended(self);
  free_if_unused(self);
}

static void collect_pin(void* data) {
  pin* self = data;
  hash* owner = self->hash;
  self->next = owner->ended;
  owner->ended = self;
  if (!owner->is_collected) return;
  give_back_ended(owner);
  free_if_unused(owner);
}

static const rb_data_type_t hash_type = {.wrap_struct_name = "Kill9::SharedHash",
                                         .function = {.dfree = collect_hash},
                                         .flags = RUBY_TYPED_FREE_IMMEDIATELY};
static const rb_data_type_t pin_type = {.wrap_struct_name = "Kill9::SharedHash::Pin",
                                        .function = {.dfree = collect_pin},
                                        .flags = RUBY_TYPED_FREE_IMMEDIATELY};

static VALUE allocate(VALUE class) {
  hash* self = calloc(1, sizeof *self);
  if (self == NULL) rb_memerror();
  return TypedData_Wrap_Struct(class, &hash_type, self);
}

static hash* get(VALUE object) {
  hash* self;
  TypedData_Get_Struct(object, hash, &hash_type, self);
  if (self->store == NULL) rb_raise(error_class, "the hash is closed");
  give_back_ended(self);
  return self;
}

/* OK and `allowed` are answers; what else a call says is an exception. */
static int check(int outcome, int allowed) {
  if (outcome == KILL9_STORE_OK || outcome == allowed) return outcome;
  rb_raise(outcome == KILL9_STORE_INVALID ? rb_eArgError : error_class, "%s",
           kill9_store_message());
}

static VALUE string_of(const char* bytes, size_t size) {
  return rb_enc_str_new(bytes, (long)size, rb_utf8_encoding());
}

static VALUE option(VALUE options, const char* name) {
  return NIL_P(options) ? Qnil : rb_hash_lookup(options, ID2SYM(rb_intern(name)));
}

/* SharedHash.new(name: nil, design: nil, bytes: nil, entries: nil, participants: nil): opens the
 * hash of this name, or makes it; without a name it is shared by fork. */
static VALUE initialize(int argc, VALUE* argv, VALUE object) {
  VALUE options;
  hash* self;
  rb_scan_args(argc, argv, "0:", &options);
  TypedData_Get_Struct(object, hash, &hash_type, self);
  if (self->store != NULL) rb_raise(error_class, "it is initialised already");
  VALUE name = option(options, "name"), design = option(options, "design");
  VALUE bytes = option(options, "bytes"), entries = option(options, "entries");
  VALUE participants = option(options, "participants");
  kill9_store_options wanted = {.struct_size = sizeof wanted,
                                .name = NIL_P(name) ? NULL : StringValueCStr(name),
                                .design = NIL_P(design) ? NULL : StringValueCStr(design),
                                .bytes = NIL_P(bytes) ? 0 : NUM2ULL(bytes),
                                .entries = NIL_P(entries) ? 0 : NUM2ULL(entries),
                                .participants = NIL_P(participants) ? 0 : NUM2UINT(participants)};
  check(kill9_store_open_or_create(&wanted, &self->store), 0);
  return object;
}

static VALUE unlink_name(VALUE class, VALUE name) {
  (void)class;
  return check(kill9_store_unlink(StringValueCStr(name)), KILL9_STORE_ABSENT) == KILL9_STORE_OK
             ? Qtrue
             : Qfalse;
}

/* hash[key]: a copy, or nil. */
static VALUE at(VALUE object, VALUE key) {
  kill9_store_value value = {.struct_size = sizeof value};
  StringValue(key);
  hash* self = get(object);
  if (check(kill9_store_get(self->store, RSTRING_PTR(key), RSTRING_LEN(key), &value),
            KILL9_STORE_ABSENT) != KILL9_STORE_OK) {
    return Qnil;
  }
  return string_of(value.bytes, value.size);
}

static VALUE set(VALUE object, VALUE key, VALUE value) {
  StringValue(key);
  StringValue(value);
  hash* self = get(object);
  check(kill9_store_put(self->store, RSTRING_PTR(key), RSTRING_LEN(key), RSTRING_PTR(value),
                        RSTRING_LEN(value), NULL),
        0);
  return value;
}

/* fetch(key), fetch(key, default), fetch(key) { |key| ... }: as of Hash. */
static VALUE fetch(int argc, VALUE* argv, VALUE object) {
  VALUE key, otherwise;
  rb_scan_args(argc, argv, "11", &key, &otherwise);
  VALUE value = at(object, key);
  if (!NIL_P(value)) return value;
  if (rb_block_given_p()) return rb_yield(key);
  if (argc == 2) return otherwise;
  rb_raise(rb_eKeyError, "key not found: %" PRIsVALUE, rb_inspect(key));
}

/* delete(key): whether it was there. (What it was, another process may have changed meanwhile.) */
static VALUE erase(VALUE object, VALUE key) {
  StringValue(key);
  hash* self = get(object);
  return check(kill9_store_erase(self->store, RSTRING_PTR(key), RSTRING_LEN(key)),
               KILL9_STORE_ABSENT) == KILL9_STORE_OK
             ? Qtrue
             : Qfalse;
}

/* versioned(key): [value, version], or [nil, 0]. */
static VALUE versioned(VALUE object, VALUE key) {
  kill9_store_value value = {.struct_size = sizeof value};
  StringValue(key);
  hash* self = get(object);
  if (check(kill9_store_get(self->store, RSTRING_PTR(key), RSTRING_LEN(key), &value),
            KILL9_STORE_ABSENT) != KILL9_STORE_OK) {
    return rb_assoc_new(Qnil, INT2FIX(0));
  }
  return rb_assoc_new(string_of(value.bytes, value.size), ULL2NUM(value.version));
}

/* compare_and_swap(key, version, value): the new version, or nil if it is another one by now. */
static VALUE compare_and_swap(VALUE object, VALUE key, VALUE expected, VALUE value) {
  uint64_t version = 0;
  StringValue(key);
  StringValue(value);
  uint64_t wanted = NUM2ULL(expected);
  hash* self = get(object);
  return check(kill9_store_compare_and_swap(self->store, RSTRING_PTR(key), RSTRING_LEN(key), wanted,
                                            RSTRING_PTR(value), RSTRING_LEN(value), &version),
               KILL9_STORE_MISMATCH) == KILL9_STORE_OK
             ? ULL2NUM(version)
             : Qnil;
}

/* pin(key): the value itself, frozen; nil if it is absent. */
static VALUE pin_value(VALUE object, VALUE key) {
  StringValue(key);
  hash* self = get(object);
  pin* made = calloc(1, sizeof *made);
  if (made == NULL) rb_memerror();
  made->value.struct_size = sizeof made->value;
  made->hash = self;
  int outcome = kill9_store_pin(self->store, RSTRING_PTR(key), RSTRING_LEN(key), &made->value);
  if (outcome == KILL9_STORE_FULL) { /* of strings that nobody reaches any more, perhaps */
    rb_gc();
    give_back_ended(self);
    outcome = kill9_store_pin(self->store, RSTRING_PTR(key), RSTRING_LEN(key), &made->value);
  }
  if (outcome != KILL9_STORE_OK) {
    free(made);
    check(outcome, KILL9_STORE_ABSENT);
    return Qnil;
  }
  ++self->pins;
  VALUE holder = TypedData_Wrap_Struct(pin_class, &pin_type, made);
  VALUE string =
      rb_enc_str_new_static(made->value.bytes, (long)made->value.size, rb_utf8_encoding());
  rb_ivar_set(string, rb_intern("__pin"), holder);
  return rb_obj_freeze(string);
}

typedef struct copies {
  char* bytes;
  size_t size, room, entries;
  int is_full;
} copies;

static void append(copies* all, const void* bytes, size_t size) {
  if (all->is_full) return;
  if (all->size + size > all->room) {
    size_t room = 2 * (all->room + size) + 4096;
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

/* No object of Ruby's is made meanwhile: its collector may run, and it may raise. */
static int copy_entry(void* receiver, const char* key, size_t key_bytes, const char* value,
                      size_t value_bytes, uint64_t version) {
  copies* all = receiver;
  (void)version;
  append(all, &key_bytes, sizeof key_bytes);
  append(all, key, key_bytes);
  append(all, &value_bytes, sizeof value_bytes);
  append(all, value, value_bytes);
  ++all->entries;
  return !all->is_full;
}

static VALUE entries_of(VALUE argument) {
  const copies* all = (const copies*)argument;
  VALUE entries = rb_ary_new_capa((long)all->entries);
  const char* at = all->bytes;
  for (size_t entry = 0; entry < all->entries; ++entry) {
    VALUE pair[2];
    for (int n = 0; n < 2; ++n) {
      size_t size;
      memcpy(&size, at, sizeof size);
      pair[n] = string_of(at + sizeof size, size);
      at += sizeof size + size;
    }
    rb_ary_push(entries, rb_assoc_new(pair[0], pair[1]));
  }
  return entries;
}

static VALUE free_copies(VALUE argument) {
  free(((copies*)argument)->bytes);
  return Qnil;
}

/* each { |key, value| ... }: copies of what is there. */
static VALUE each(VALUE object) {
  RETURN_ENUMERATOR(object, 0, NULL);
  copies all = {0};
  hash* self = get(object);
  const int outcome = kill9_store_each(self->store, copy_entry, &all);
  if (outcome != KILL9_STORE_OK || all.is_full) {
    free(all.bytes);
    check(outcome, 0);
    rb_memerror();
  }
  VALUE entries = rb_ensure(entries_of, (VALUE)&all, free_copies, (VALUE)&all);
  for (long n = 0; n < RARRAY_LEN(entries); ++n) rb_yield(rb_ary_entry(entries, n));
  return object;
}

static VALUE recover(VALUE object) {
  kill9_store_recovered recovered = {.struct_size = sizeof recovered};
  check(kill9_store_recover(get(object)->store, &recovered), 0);
  return ULL2NUM(recovered.participants);
}

/* audit: nil, or what is broken. Nobody may be at work. */
static VALUE audit(VALUE object) {
  kill9_store_account account = {.struct_size = sizeof account};
  check(kill9_store_audit(get(object)->store, &account), 0);
  if (account.violation[0] != 0) return rb_str_new_cstr(account.violation);
  if (account.leaked_blocks + account.doubly_owned_blocks == 0) return Qnil;
  return rb_sprintf("%llu blocks leaked, %llu owned twice",
                    (unsigned long long)account.leaked_blocks,
                    (unsigned long long)account.doubly_owned_blocks);
}

void Init_kill9(void) {
  VALUE module = rb_define_module("Kill9");
  VALUE class = rb_define_class_under(module, "SharedHash", rb_cObject);
  error_class = rb_define_class_under(module, "Error", rb_eStandardError);
  pin_class = rb_define_class_under(class, "Pin", rb_cObject);
  rb_undef_alloc_func(pin_class);
  rb_include_module(class, rb_mEnumerable);
  rb_define_alloc_func(class, allocate);
  rb_define_singleton_method(class, "unlink", unlink_name, 1);
  rb_define_method(class, "initialize", initialize, -1);
  rb_define_method(class, "[]", at, 1);
  rb_define_method(class, "[]=", set, 2);
  rb_define_method(class, "fetch", fetch, -1);
  rb_define_method(class, "delete", erase, 1);
  rb_define_method(class, "versioned", versioned, 1);
  rb_define_method(class, "compare_and_swap", compare_and_swap, 3);
  rb_define_method(class, "pin", pin_value, 1);
  rb_define_method(class, "each", each, 0);
  rb_define_method(class, "recover", recover, 0);
  rb_define_method(class, "audit", audit, 0);
}
