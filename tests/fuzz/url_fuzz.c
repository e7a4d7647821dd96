/* Addresses of other systems, as the configuration holds them: what is taken has hosts and known ports, and what is shown of it never
 * holds the password. */
#include <stdlib.h>
#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_arena arena;
	struct tm_err err = {0};
	struct tm_url url;
	struct tm_str text = tm_str_n((const char *)data, size);
	tm_arena_init(&arena);
	if (tm_url_parse(text, &arena, &url, &err) == TM_OK) {
		TM_ASSERT(url.scheme.len && url.host_count && url.host_count <= TM_URL_HOSTS_MAX && url.param_count <= TM_URL_PARAMS_MAX);
		for (size_t i = 0; i < url.host_count; i++)
			TM_ASSERT(url.hosts[i].host.len && url.hosts[i].port >= 0 && url.hosts[i].port <= 65535);
		TM_ASSERT(tm_url_hosts_text(&url, 9092, &arena).len);
	}
	(void)tm_url_shown(text, &arena);
	tm_arena_done(&arena);
	return 0;
}
