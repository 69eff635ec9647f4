// libpmemobj (results/peers.md): one transaction replaces two values, adds a key and removes one,
// in a table with chains. `check` wants all of it or none, no object more, and works on.
//
//     gcc -O1 -o pmemobj_transaction pmemobj_transaction.c -lpmemobj
//     mkdir state && cd state && ../pmemobj_transaction make
//     kill9 run --check="$PWD/../pmemobj_transaction check" -- "$PWD/../pmemobj_transaction" change
#include <libpmemobj.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { kBuckets = 8, kType = 7 };

struct Root {
  PMEMoid heads[kBuckets];
};
struct Entry {
  PMEMoid next;
  unsigned key, size;
  char data[];
};

static struct Root* root;

static struct Entry* EntryOf(PMEMoid object) { return pmemobj_direct(object); }

// Where the entry of the key is named, or would be.
static PMEMoid* Find(unsigned key) {
  PMEMoid* at = &root->heads[key % kBuckets];
  while (!OID_IS_NULL(*at) && EntryOf(*at)->key != key) at = &EntryOf(*at)->next;
  return at;
}

static void Name(PMEMoid* at, PMEMoid object) {
  pmemobj_tx_add_range_direct(at, sizeof *at);
  *at = object;
}

static void Set(unsigned key, unsigned size, char fill) {
  PMEMoid* at = Find(key);
  const PMEMoid old = *at;
  const PMEMoid made = pmemobj_tx_alloc(sizeof(struct Entry) + size, kType);
  struct Entry* entry = EntryOf(made);
  entry->next = OID_IS_NULL(old) ? OID_NULL : EntryOf(old)->next;
  entry->key = key;
  entry->size = size;
  memset(entry->data, fill, size);
  Name(at, made);
  if (!OID_IS_NULL(old)) pmemobj_tx_free(old);
}

static void Remove(unsigned key) {
  PMEMoid* at = Find(key);
  const PMEMoid old = *at;
  Name(at, EntryOf(old)->next);
  pmemobj_tx_free(old);
}

// Whether the key has this value; size 0: whether it is absent.
static int Is(unsigned key, unsigned size, char fill) {
  const PMEMoid object = *Find(key);
  if (OID_IS_NULL(object)) return size == 0;
  const struct Entry* entry = EntryOf(object);
  for (unsigned n = 0; n < size; ++n) {
    if (entry->size != size || entry->data[n] != fill) return 0;
  }
  return size != 0;
}

static int Check(PMEMobjpool* pool) {
  const int before = Is(1, 901, 'a') && Is(2, 0, 0) && Is(3, 197, 'c') && Is(9, 37, 'x');
  const int after = Is(1, 37, 'A') && Is(2, 197, 'b') && Is(3, 0, 0) && Is(9, 901, 'X');
  int objects = 0;
  for (PMEMoid at = pmemobj_first(pool); !OID_IS_NULL(at); at = pmemobj_next(at)) ++objects;
  if (before + after != 1 || !Is(17, 37, 'y') || objects != 4) {
    fprintf(stderr, "before %d, after %d, %d objects\n", before, after, objects);
    return 1;
  }
  pmemobj_tx_begin(pool, NULL, TX_PARAM_NONE);
  Set(5, 3000, 'z');
  Set(1, 50, 'q');
  pmemobj_tx_commit();
  return pmemobj_tx_end() != 0 || !Is(5, 3000, 'z') || !Is(1, 50, 'q') || !Is(17, 37, 'y');
}

// The same allocations, taken back: what the library prepares at the first ones (1.5 MB of its own
// memory are cleared) is no part of the commit that is stepped through.
static void Warm(PMEMobjpool* pool) {
  pmemobj_tx_begin(pool, NULL, TX_PARAM_NONE);
  pmemobj_tx_alloc(sizeof(struct Entry) + 37, kType);
  pmemobj_tx_alloc(sizeof(struct Entry) + 197, kType);
  pmemobj_tx_alloc(sizeof(struct Entry) + 901, kType);
  pmemobj_tx_abort(0);
  pmemobj_tx_end();
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const int makes = strcmp(argv[1], "make") == 0;
  PMEMobjpool* pool = makes ? pmemobj_create("pool", "kill9", PMEMOBJ_MIN_POOL, 0600)
                            : pmemobj_open("pool", "kill9");
  if (pool == NULL) {
    fprintf(stderr, "%s\n", pmemobj_errormsg());
    return 1;
  }
  root = pmemobj_direct(pmemobj_root(pool, sizeof *root));
  int status = 0;
  if (strcmp(argv[1], "check") == 0) {
    status = Check(pool);
  } else {
    if (!makes) Warm(pool);
    access("/kill9/begin", F_OK);
    pmemobj_tx_begin(pool, NULL, TX_PARAM_NONE);
    if (makes) {
      Set(1, 901, 'a');
      Set(3, 197, 'c');
      Set(9, 37, 'x');
      Set(17, 37, 'y');
    } else {
      Set(1, 37, 'A');
      Set(2, 197, 'b');
      Remove(3);
      Set(9, 901, 'X');
    }
    pmemobj_tx_commit();
    status = pmemobj_tx_end() != 0;
    access("/kill9/end", F_OK);
  }
  pmemobj_close(pool);
  return status != 0 || pmemobj_check("pool", "kill9") != 1;
}
