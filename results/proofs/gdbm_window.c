// How gdbm tears a value (results/peers.md): a writer dies after it has written a smaller record
// where the old one was, and before it writes the bucket that tells how long the record is. Run a
// second time within, with _gdbm_free doing nothing, the new record lies elsewhere.
//
//     wrap=-Wl,--wrap=_gdbm_end_update,--wrap=_gdbm_free,--wrap=_gdbm_alloc
//     gcc -O1 $wrap -o gdbm_window gdbm_window.c "$(gcc -print-file-name=libgdbm.a)"
//     ./gdbm_window
#include <gdbm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char kPath[] = "gdbm_window.db";
static int dies;
static int frees = 1;

int __real__gdbm_end_update(GDBM_FILE file);
int __wrap__gdbm_end_update(GDBM_FILE file) {
  if (dies) kill(getpid(), SIGKILL);
  return __real__gdbm_end_update(file);
}
int __real__gdbm_free(GDBM_FILE file, off_t at, int bytes);
int __wrap__gdbm_free(GDBM_FILE file, off_t at, int bytes) {
  if (!frees) return 0;
  printf("  %d bytes at %ld are given back\n", bytes, (long)at);
  return __real__gdbm_free(file, at, bytes);
}
off_t __real__gdbm_alloc(GDBM_FILE file, int bytes);
off_t __wrap__gdbm_alloc(GDBM_FILE file, int bytes) {
  const off_t at = __real__gdbm_alloc(file, bytes);
  printf("  a record of %d bytes, at %ld\n", bytes, (long)at);
  return at;
}

static datum Bytes(char* bytes, int size) {
  datum data = {bytes, size};
  return data;
}

int main(void) {
  char old_value[901], new_value[37];
  memset(old_value, 'o', sizeof old_value);
  memset(new_value, 'n', sizeof new_value);
  const datum key = Bytes("key", 3);
  for (frees = 1; frees >= 0; --frees) {
    printf("%s\n", frees ? "as it ships:" : "the old record is not given back:");
    unlink(kPath);
    GDBM_FILE file = gdbm_open(kPath, 0, GDBM_NEWDB, 0600, NULL);
    gdbm_store(file, key, Bytes(old_value, sizeof old_value), GDBM_REPLACE);
    gdbm_close(file);
    fflush(stdout);
    if (fork() == 0) {
      setvbuf(stdout, NULL, _IONBF, 0);
      file = gdbm_open(kPath, 0, GDBM_WRITER, 0600, NULL);
      dies = 1;
      gdbm_store(file, key, Bytes(new_value, sizeof new_value), GDBM_REPLACE);
      _exit(1);
    }
    int status = 0;
    wait(&status);
    if (!WIFSIGNALED(status)) return 2;
    file = gdbm_open(kPath, 0, GDBM_WRITER, 0600, NULL);
    const int recovery = gdbm_recover(file, NULL, GDBM_RCVR_DEFAULT);
    const datum found = gdbm_fetch(file, key);
    int of_new = 0;
    for (int n = 0; n < found.dsize; ++n) of_new += found.dptr[n] == 'n';
    printf("  gdbm_recover: %d; the value: %d bytes, %d of them of the new one\n", recovery,
           found.dsize, of_new);
    free(found.dptr);
    gdbm_close(file);
  }
  unlink(kPath);
  return 0;
}
