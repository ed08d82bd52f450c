/* Runs compiled programs that another process has written down, on a processor that it doesn't have.
 *
 *   run_programs PROGRAMS RESULTS
 *
 * PROGRAMS is a sequence of 64-bit numbers and arrays, read from the start to the end:
 *
 *   how many programs, and of each:
 *     which function is the driver, how many units, bytes of scratch, which array is the result
 *     how many words in the driver's table, and the words
 *     how many of them are addresses, and of each: which word, 0 for an array or 1 for a function, which one
 *     how many arrays, and of each: its bytes, then its contents
 *
 * RESULTS gets the contents of the results, one after the other. Every array ends right before a page that
 * nobody may touch, and so does the scratch memory, which is full of NaN at first. Whoever touches such a page
 * is told which array was left, and the run ends. */

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The kernels: in a file of their own, made with the programs. */
extern void *const functions[];

typedef void driver(int64_t unit, void *words, void *scratch);

static void expect(int held, const char *what) {
  if (!held) {
    fprintf(stderr, "run_programs: %s\n", what);
    exit(1);
  }
}

static int64_t number(FILE *file) {
  int64_t value;
  expect(fread(&value, sizeof value, 1, file) == 1, "PROGRAMS is cut short");
  return value;
}

/* Memory that ends (up to the alignment) where an untouchable page begins. */
static char *guarded(int64_t bytes, int64_t alignment) {
  int64_t page = sysconf(_SC_PAGESIZE);
  int64_t room = (bytes + alignment + page - 1) / page * page;
  char *start = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  expect(start != MAP_FAILED, "no memory");
  expect(mprotect(start + room, page, PROT_NONE) == 0, "no guard page");
  return start + (room - bytes) / alignment * alignment;
}

/* What is being run, for the message of `touched`. */
static struct {
  int64_t program, unit, arrays, *bytes, scratch_bytes;
  char **array, *scratch;
} now;

static void touched(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  char *place = info->si_addr;
  fprintf(stderr, "run_programs: program %ld, unit %ld touches ", (long)now.program, (long)now.unit);
  for (int64_t i = 0; i < now.arrays; i++)
    if (place >= now.array[i] + now.bytes[i] && place < now.array[i] + now.bytes[i] + 4096)
      fprintf(stderr, "byte %ld of the %ld of array %ld, ", (long)(place - now.array[i]), (long)now.bytes[i], (long)i);
  if (now.scratch && place >= now.scratch && place < now.scratch + now.scratch_bytes + 4096)
    fprintf(stderr, "byte %ld of the %ld of the scratch memory, ", (long)(place - now.scratch), (long)now.scratch_bytes);
  fprintf(stderr, "address %p\n", (void *)place);
  _exit(1);
}

static void run(FILE *programs, FILE *results) {
  driver *function = (driver *)functions[number(programs)];
  int64_t units = number(programs), scratch_bytes = number(programs), result = number(programs);

  int64_t count = number(programs);
  int64_t *words = (int64_t *)guarded(count * sizeof *words, 8);
  for (int64_t i = 0; i < count; i++) words[i] = number(programs);

  int64_t addresses = number(programs);
  int64_t(*address)[3] = malloc((addresses + 1) * sizeof *address);
  for (int64_t i = 0; i < addresses; i++)
    for (int part = 0; part < 3; part++) address[i][part] = number(programs);

  int64_t arrays = number(programs);
  char **array = malloc((arrays + 1) * sizeof *array);
  int64_t *bytes = malloc((arrays + 1) * sizeof *bytes);
  for (int64_t i = 0; i < arrays; i++) {
    bytes[i] = number(programs);
    /* Exactly at the end, whatever the size: the elements' size divides it. */
    array[i] = guarded(bytes[i], 1);
    expect(fread(array[i], 1, bytes[i], programs) == (size_t)bytes[i], "PROGRAMS is cut short");
  }
  for (int64_t i = 0; i < addresses; i++)
    words[address[i][0]] =
        (int64_t)(uintptr_t)(address[i][1] ? functions[address[i][2]] : (void *)array[address[i][2]]);

  char *scratch = guarded(scratch_bytes, 64);
  memset(scratch, 0xff, scratch_bytes);
  now.arrays = arrays, now.array = array, now.bytes = bytes, now.scratch = scratch, now.scratch_bytes = scratch_bytes;
  /* Units may run in any order. */
  for (now.unit = units - 1; now.unit >= 0; now.unit--) function(now.unit, words, scratch);
  expect(fwrite(array[result], 1, bytes[result], results) == (size_t)bytes[result], "RESULTS can't be written");
}

int main(int count, char **arguments) {
  expect(count == 3, "run_programs PROGRAMS RESULTS");
  FILE *programs = fopen(arguments[1], "rb"), *results = fopen(arguments[2], "wb");
  expect(programs && results, "PROGRAMS or RESULTS can't be opened");
  struct sigaction action = {.sa_sigaction = touched, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  int64_t count_of_programs = number(programs);
  for (now.program = 0; now.program < count_of_programs; now.program++) run(programs, results);
  expect(fclose(results) == 0, "RESULTS can't be written");
  return 0;
}
