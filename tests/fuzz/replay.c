/* SPDX-License-Identifier: MIT */
/*
 * replay.c: the main() of a fuzz target without libFuzzer: runs inputs once each, those
 * named, or all under tests/fuzz/seeds/TARGET. A finding ends it, by abort() or sanitizer,
 * after the name of the input was said.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>

#define REPLAY_SIZE_MAX (1 << 20)

static unsigned replay_runs, replay_missing;

static void replay_file(const char *path)
{
	static uint8_t buf[REPLAY_SIZE_MAX];
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	size_t n;

	if (!f) {
		fprintf(stderr, "%s: %s: cannot be read\n", fuzz_name, path);
		replay_missing++;
		return;
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	/* The name stays the last line when the input is a finding. */
	fprintf(stderr, "%s: %s\n", fuzz_name, path);
	data = malloc(n); /* of its own size, for what reads over its end */
	BUG_ON(!data && n);
	if (n)
		memcpy(data, buf, n);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	replay_runs++;
}

static int replay_is_seed(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void replay_seeds(void)
{
	char dir[128], path[512];
	struct dirent **list;
	int n;

	snprintf(dir, sizeof(dir), "tests/fuzz/seeds/%s", fuzz_name);
	n = scandir(dir, &list, replay_is_seed, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		replay_file(path);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay_file(argv[i]);
	if (argc == 1)
		replay_seeds();
	printf("%d%%: Inputs: %u\n", replay_missing || !replay_runs ? 0 : 100, replay_runs);
	return replay_missing || !replay_runs;
}
