// Tkrzw, changed in place (results/peers.md): a writer dies in its close, after the header says
// that the file was closed, before the list of free blocks is written (SaveMetadata, SaveFBP). The
// old list calls the block of a live record free, and the next record is written over it.
//
//     gcc -o tkrzw_twice tkrzw_twice.c -ltkrzw && ./tkrzw_twice
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <tkrzw_langc.h>
#include <unistd.h>

static TkrzwDBM* Open(void) {
  // So many buckets that the list, which comes after them, has pages of its own.
  return tkrzw_dbm_open("twice.tkh", true, "update_mode=UPDATE_IN_PLACE,num_buckets=8191");
}
static void Set(TkrzwDBM* db, const char* key) {
  tkrzw_dbm_set(db, key, (int)strlen(key), "value", 5, true);
}
static void Die(int number) {
  (void)number;
  kill(getpid(), SIGKILL);
}
// The first store behind the file's first page is the last one.
static void DieAtTheList(void) {
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[512];
  unsigned long begin = 0, end = 0;
  while (fgets(line, sizeof line, maps) != NULL) {
    if (strstr(line, "twice.tkh") != NULL && sscanf(line, "%lx-%lx", &begin, &end) == 2) break;
  }
  fclose(maps);
  signal(SIGSEGV, Die);
  mprotect((void*)(begin + 4096), end - begin - 4096, PROT_READ);
}

int main(void) {
  remove("twice.tkh");
  TkrzwDBM* db = Open();
  Set(db, "gone");
  Set(db, "last");
  tkrzw_dbm_remove(db, "gone", 4);
  tkrzw_dbm_close(db);
  if (fork() == 0) {
    db = Open();
    Set(db, "live");  // where "gone" was
    DieAtTheList();
    tkrzw_dbm_close(db);
    _exit(1);
  }
  int status = 0;
  wait(&status);
  db = Open();
  printf("the writer was killed: %d; the file is healthy: %d\n", WIFSIGNALED(status),
         tkrzw_dbm_is_healthy(db));
  printf("live: %s\n", tkrzw_dbm_get(db, "live", 4, NULL) != NULL ? "there" : "LOST");
  Set(db, "next");
  printf("live, after next was set: %s\n",
         tkrzw_dbm_get(db, "live", 4, NULL) != NULL ? "there" : "LOST");
  TkrzwDBMIter* at = tkrzw_dbm_make_iterator(db);
  int size = 0;
  char* key;
  tkrzw_dbm_iter_first(at);
  for (; (key = tkrzw_dbm_iter_get_key(at, &size)) != NULL; tkrzw_dbm_iter_next(at)) {
    printf("visited: %.*s\n", size, key);
  }
  return 0;
}
