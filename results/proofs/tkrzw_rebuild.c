// Tkrzw (results/peers.md): one process rebuilds the file, and another, who waits for it meanwhile,
// sets a record. Both say that all is well, and the record is lost.
//
//     gcc -o tkrzw_rebuild tkrzw_rebuild.c -ltkrzw && ./tkrzw_rebuild
#include <stdio.h>
#include <sys/wait.h>
#include <tkrzw_langc.h>
#include <unistd.h>

static TkrzwDBM* Open(void) {
  return tkrzw_dbm_open("rebuilt.tkh", true, "update_mode=UPDATE_APPENDING,num_buckets=101");
}

int main(int argc, char** argv) {
  (void)argv;
  if (argc == 2) {
    TkrzwDBM* late = Open();
    printf("set: %d\n", tkrzw_dbm_set(late, "key", 3, "value", 5, true));
    printf("close: %d\n", tkrzw_dbm_close(late));
    return 0;
  }
  remove("rebuilt.tkh");
  TkrzwDBM* first = Open();
  if (fork() == 0) return execl("/proc/self/exe", "late", "late", NULL);
  sleep(1);  // until it waits
  tkrzw_dbm_rebuild(first, "");
  tkrzw_dbm_close(first);
  wait(NULL);
  first = Open();
  const char* value = tkrzw_dbm_get(first, "key", 3, NULL);
  printf("%s\n", value == NULL ? "LOST" : value);
  return value == NULL;
}
