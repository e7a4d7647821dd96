/* Replays a fuzz target over the files and folders named on the command line, where no fuzzer is built in. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static long replay(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return 0;
	if (S_ISDIR(st.st_mode)) {
		long n = 0;
		DIR *dir = opendir(path);
		for (struct dirent *e; dir && (e = readdir(dir));) {
			if (e->d_name[0] == '.')
				continue;
			char sub[4096];
			snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
			n += replay(sub);
		}
		if (dir)
			closedir(dir);
		return n;
	}
	FILE *f = fopen(path, "rb");
	if (!f)
		return 0;
	/* An exact allocation, so that the sanitizer sees the first byte read past the end. */
	uint8_t *data = malloc(st.st_size ? (size_t)st.st_size : 1);
	size_t n = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 1;
}

int main(int argc, char **argv)
{
	long n = 0;
	for (int i = 1; i < argc; i++)
		n += replay(argv[i]);
	printf("%ld inputs replayed\n", n);
	if (n == 0)
		fprintf(stderr, "no input found: a fuzz target without a corpus proves nothing\n");
	return n == 0;
}
