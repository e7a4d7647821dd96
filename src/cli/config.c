/* Reading tidemill.yaml by the table config.def. */
#include "cli/config.h"
#include "cassandra/tables.h"
#include "spark/spark.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

enum kind { ADDRESS, PEER, TEXT, PATH, PAIRS };
struct key {
	const char *path;
	enum kind kind;
	const char *fallback, *doc;
};
static const struct key keys[] = {
#define TM_CONFIG(path, kind, fallback, doc) {#path, kind, fallback, doc},
#include "cli/config.def"
#undef TM_CONFIG
};
enum { KEYS = sizeof keys / sizeof *keys, DEPTH_MAX = 50 };

/* The place of a key in the struct. */
static void *slot(struct tm_config *c, const char *path)
{
	const struct {
		const char *path;
		void *at;
	} slots[] = {
	    {"listen.kafka", &c->kafka},
	    {"listen.cassandra", &c->cassandra},
	    {"listen.http", &c->http},
	    {"data", &c->data},
	    {"listen.network", &c->network},
	    {"listen.names", &c->names},
	    {"listen.kafka_advertised", &c->kafka_advertised},
	    {"listen.kafka_published", &c->kafka_published},
	    {"python", &c->python},
	    {"hosts", &c->hosts},
	    {"variables", &c->variables},
	    {"connections", &c->connections},
	    {"broker", &c->broker},
	    {"store", &c->store},
	    {"engine", &c->engine},
	    {"orchestrator", &c->orchestrator},
	    {"coordinator", &c->coordinator},
	};
	for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
		if (strcmp(slots[i].path, path) == 0)
			return slots[i].at;
	TM_ASSERT(!"a key of config.def has no place in tm_config");
}

static size_t *slot_count(struct tm_config *c, const char *path)
{
	return strcmp(path, "hosts") == 0 ? &c->host_count : strcmp(path, "variables") == 0 ? &c->variable_count : &c->connection_count;
}

tm_rc tm_address_parse(struct tm_str text, struct tm_address *ret, struct tm_err *err)
{
	size_t colon = text.len;
	while (colon > 0 && text.at[colon - 1] != ':')
		colon--;
	int64_t port;
	if (colon == 0 || !tm_str_to_i64(tm_str_slice(text, colon, text.len), &port) || port < 0 || port > 65535) {
		tm_rc rc = tm_fail(err, TM_INVALID, "'%.*s' is not an address", TM_STR_ARG(text));
		tm_err_hint(err, "Write host:port, as 127.0.0.1:9092 (port 0 takes any free one).");
		return rc;
	}
	struct tm_str host = tm_str_slice(text, 0, colon - 1);
	if (host.len >= 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
		host = tm_str_slice(host, 1, host.len - 1);
	if (host.len == 0)
		host = TM_STR("127.0.0.1");
	if (host.len >= sizeof ret->host)
		return tm_fail(err, TM_LIMIT, "the host name is longer than %zu bytes", sizeof ret->host - 1);
	memcpy(ret->host, host.at, host.len);
	ret->host[host.len] = 0;
	ret->port = (int)port;
	return TM_OK;
}

bool tm_address_loopback(const struct tm_address *a)
{
	return strncmp(a->host, "127.", 4) == 0 || strcmp(a->host, "localhost") == 0 || strcmp(a->host, "::1") == 0;
}

const char *tm_address_here(const struct tm_address *a)
{
	return strcmp(a->host, "0.0.0.0") == 0 ? "127.0.0.1" : strcmp(a->host, "::") == 0 ? "::1" : a->host;
}

bool tm_config_trusted(const struct tm_config *c) { return c->network && strcmp(c->network, "trusted") == 0; }

static tm_rc set_network(struct tm_config *c, struct tm_str text, struct tm_err *err)
{
	if (!tm_str_is(text, "loopback") && !tm_str_is(text, "trusted")) {
		tm_fail(err, TM_INVALID, "listen.network: '%.*s' is neither loopback nor trusted", TM_STR_ARG(text));
		return TM_INVALID;
	}
	c->network = tm_arena_cstr(&c->arena, text);
	return TM_OK;
}

static tm_rc set_address(struct tm_config *c, const struct key *k, struct tm_str text, struct tm_err *err)
{
	struct tm_address *at = slot(c, k->path);
	if (k->kind == PEER && text.len == 0) {
		*at = (struct tm_address){0};
		return TM_OK;
	}
	if (tm_address_parse(text, at, err) != TM_OK) {
		tm_err_prefix(err, "%s: ", k->path);
		return err->rc;
	}
	if (k->kind == PEER && at->port == 0)
		return tm_fail(err, TM_INVALID, "%s: %.*s names no port", k->path, TM_STR_ARG(text));
	if (k->kind == ADDRESS && !tm_address_loopback(at) && !tm_config_trusted(c)) {
		tm_fail(err, TM_DENIED, "%s: %.*s is not a loopback address", k->path, TM_STR_ARG(text));
		tm_err_detail(err, "Without a password everyone in the network could run code here.");
		tm_err_hint(
		    err, "Use 127.0.0.1 and reach it through a tunnel or a proxy that asks for a password. Only where whoever reaches this "
			 "address may run code here anyway (a container's own network): listen.network: trusted.");
		return TM_DENIED;
	}
	return TM_OK;
}

static tm_rc set_scalar(struct tm_config *c, const struct key *k, struct tm_str text, struct tm_err *err)
{
	void *at = slot(c, k->path);
	switch (k->kind) {
	case ADDRESS:
	case PEER:
		return set_address(c, k, text, err);
	case TEXT:
		if (at == &c->network)
			return set_network(c, text, err);
		*(const char **)at = tm_arena_cstr(&c->arena, text);
		return TM_OK;
	case PATH:
		if (text.len && text.at[0] == '/')
			*(const char **)at = tm_arena_cstr(&c->arena, text);
		else
			*(const char **)at = tm_arena_printf(&c->arena, "%s/%.*s", c->dir, TM_STR_ARG(text)).at;
		return TM_OK;
	case PAIRS:
		break;
	}
	return tm_fail(err, TM_INVALID, "%s is a map of names and values", k->path);
}

static tm_rc engine_check(const char *text, struct tm_err *err)
{
	struct tm_arena arena;
	struct tm_spark_address address;
	tm_arena_init(&arena);
	tm_rc rc = tm_spark_address_parse(tm_str_of(text), &arena, &address, err);
	tm_arena_done(&arena);
	if (rc != TM_OK)
		tm_err_prefix(err, "engine: ");
	return rc;
}

static tm_rc check_choices(const struct tm_config *c, struct tm_err *err)
{
	const struct {
		const char *key, *value, *embedded;
		const char *schemes[3];
	} choices[] = {
	    {"broker", c->broker, "embedded", {"kafka://"}},
	    {"store", c->store, "embedded", {"cassandra://"}},
	    {"engine", c->engine, "embedded", {"spark://", "local["}},
	    {"coordinator", c->coordinator, "none", {"zookeeper://"}},
	    {"orchestrator", c->orchestrator, "embedded", {"airflow"}},
	};
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		const char *v = choices[i].value;
		bool known = strcmp(v, choices[i].embedded) == 0;
		if (known)
			continue;
		for (size_t s = 0; s < 3 && choices[i].schemes[s]; s++)
			known |= strncmp(v, choices[i].schemes[s], strlen(choices[i].schemes[s])) == 0;
		if (known && i == 0) /* broker.c checks the address and opens it */
			continue;
		if (known && i == 1) { /* store.c opens it */
			if (tm_tables_cassandra_check(tm_str_of(v), err) == TM_OK)
				continue;
			return err->rc;
		}
		if (known && i == 2) { /* engine.c starts it */
			if (engine_check(v, err) == TM_OK)
				continue;
			return err->rc;
		}
		if (known && i == 3) /* coordinator.c checks the address, and what goes together with it */
			continue;
		if (i == 4 && strcmp(v, "airflow") == 0)
			continue;
		const char *shown = strrchr(v, '@') ? strrchr(v, '@') : v; /* a password may be before it */
		tm_fail(err, TM_INVALID, "%s: '%s%s' is neither %s nor %s%s", choices[i].key, shown == v ? "" : "…", shown,
			choices[i].embedded, choices[i].schemes[0], strstr(choices[i].schemes[0], "://") ? "…" : "");
		return err->rc;
	}
	return TM_OK;
}

/* ---- YAML ---- */

struct reader {
	struct tm_config *config;
	yaml_document_t doc;
	const char *file;
	bool shared;  /* the file is the instances' common configuration */
	bool too_big; /* aliases within aliases: a few lines can stand for gigabytes */
};

static tm_rc at_node(const struct reader *r, const yaml_node_t *node, struct tm_err *err)
{
	if (err)
		tm_err_at(err, r->file, (int)node->start_mark.line + 1, (int)node->start_mark.column + 1);
	return err ? err->rc : TM_INVALID;
}

static struct tm_str scalar(const yaml_node_t *n) { return (struct tm_str){(const char *)n->data.scalar.value, n->data.scalar.length}; }

static void json_scalar(const yaml_node_t *n, struct tm_buf *out)
{
	struct tm_str s = scalar(n);
	bool plain = n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	char *end;
	if (plain && (tm_str_is(s, "true") || tm_str_is(s, "false") || tm_str_is(s, "null")))
		tm_buf_str_put(out, s);
	else if (plain && (s.len == 0 || tm_str_is(s, "~")))
		tm_buf_cstr_put(out, "null");
	else if (plain && (isdigit((unsigned char)s.at[0]) || s.at[0] == '-') && (strtod(s.at, &end), end == s.at + s.len))
		tm_buf_str_put(out, s);
	else
		tm_buf_json_str(out, s);
}

static void json_node(struct reader *r, const yaml_node_t *n, struct tm_buf *out, int depth)
{
	r->too_big = r->too_big || depth > DEPTH_MAX || out->len > TM_LIMIT_CONFIG_BYTES;
	if (r->too_big || n->type == YAML_NO_NODE) {
		tm_buf_cstr_put(out, "null");
	} else if (n->type == YAML_SCALAR_NODE) {
		json_scalar(n, out);
	} else if (n->type == YAML_SEQUENCE_NODE) {
		tm_buf_char(out, '[');
		for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top && !r->too_big; i++) {
			if (i > n->data.sequence.items.start)
				tm_buf_char(out, ',');
			json_node(r, yaml_document_get_node(&r->doc, *i), out, depth + 1);
		}
		tm_buf_char(out, ']');
	} else {
		tm_buf_char(out, '{');
		for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top && !r->too_big; p++) {
			if (p > n->data.mapping.pairs.start)
				tm_buf_char(out, ',');
			const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
			tm_buf_json_str(out, key->type == YAML_SCALAR_NODE ? scalar(key) : TM_STR("?"));
			tm_buf_char(out, ':');
			json_node(r, yaml_document_get_node(&r->doc, p->value), out, depth + 1);
		}
		tm_buf_char(out, '}');
	}
}

static tm_rc set_pairs(struct reader *r, const struct key *k, const yaml_node_t *n, struct tm_err *err)
{
	if (n->type != YAML_MAPPING_NODE) {
		tm_fail(err, TM_INVALID, "%s is a map of names and values", k->path);
		return at_node(r, n, err);
	}
	struct tm_config *c = r->config;
	size_t count = (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
	struct tm_pair *pairs = TM_NEW_N(&c->arena, struct tm_pair, count ? count : 1);
	for (size_t i = 0; i < count; i++) {
		const yaml_node_t *key = yaml_document_get_node(&r->doc, n->data.mapping.pairs.start[i].key);
		const yaml_node_t *value = yaml_document_get_node(&r->doc, n->data.mapping.pairs.start[i].value);
		if (key->type != YAML_SCALAR_NODE) {
			tm_fail(err, TM_INVALID, "a name under %s must be a word", k->path);
			return at_node(r, key, err);
		}
		pairs[i].name = tm_arena_str(&c->arena, scalar(key));
		if (value->type == YAML_SCALAR_NODE) {
			pairs[i].value = tm_arena_str(&c->arena, scalar(value));
		} else {
			struct tm_buf json = {0};
			json_node(r, value, &json, 0);
			pairs[i].value = tm_arena_str(&c->arena, tm_buf_str(&json));
			tm_buf_done(&json);
		}
		if (r->too_big) {
			tm_fail(err, TM_LIMIT, "a value under %s is larger than %zu bytes or nested deeper than %d levels", k->path,
				TM_LIMIT_CONFIG_BYTES, DEPTH_MAX);
			return at_node(r, value, err);
		}
	}
	*(struct tm_pair **)slot(c, k->path) = pairs;
	*slot_count(c, k->path) = count;
	return TM_OK;
}

static tm_rc unknown_key(struct reader *r, const yaml_node_t *node, struct tm_str name, const char *prefix, struct tm_err *err)
{
	const char *names[KEYS + 2];
	size_t n = 0, skip = strlen(prefix);
	for (size_t i = 0; i < KEYS; i++)
		if (strncmp(keys[i].path, prefix, skip) == 0 && !strchr(keys[i].path + skip, '.'))
			names[n++] = keys[i].path + skip;
	if (!skip)
		names[n++] = "listen";
	names[n] = NULL;
	tm_fail(err, TM_INVALID, "unknown key '%s%.*s'", prefix, TM_STR_ARG(name));
	const char *close = tm_str_closest(name, names);
	if (close) {
		tm_err_hint(err, "Did you mean %s%s?", prefix, close);
	} else {
		struct tm_buf all = {0};
		for (size_t i = 0; i < n; i++)
			tm_buf_printf(&all, "%s%s%s", i ? ", " : "", prefix, names[i]);
		tm_err_hint(err, "Keys are: %s.", tm_buf_cstr(&all));
		tm_buf_done(&all);
	}
	return at_node(r, node, err);
}

static bool own_key(const char *path)
{
	static const char *const own[] = {"data", "python", "coordinator"};
	bool is = strncmp(path, "listen.", 7) == 0;
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		is |= strcmp(path, own[i]) == 0;
	return is;
}

static tm_rc read_mapping(struct reader *r, const yaml_node_t *map, const char *prefix, struct tm_err *err)
{
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key), *value = yaml_document_get_node(&r->doc, p->value);
		struct tm_str name = key->type == YAML_SCALAR_NODE ? scalar(key) : TM_STR("?");
		if (!*prefix && tm_str_is(name, "listen") && value->type == YAML_MAPPING_NODE) {
			TM_TRY(read_mapping(r, value, "listen.", err));
			continue;
		}
		const struct key *found = NULL;
		size_t skip = strlen(prefix);
		for (size_t i = 0; i < KEYS; i++)
			if (strncmp(keys[i].path, prefix, skip) == 0 && tm_str_is(name, keys[i].path + skip))
				found = &keys[i];
		if (!found)
			return unknown_key(r, key, name, prefix, err);
		if (r->shared && own_key(found->path)) {
			tm_fail(err, TM_INVALID, "%s belongs to each instance: it has no place in the shared configuration", found->path);
			tm_err_hint(err, "Set it in tidemill.yaml or as TIDEMILL_… in the environment of each instance.");
			return at_node(r, key, err);
		}
		if (found->kind == PAIRS) {
			TM_TRY(set_pairs(r, found, value, err));
		} else if (value->type != YAML_SCALAR_NODE) {
			tm_fail(err, TM_INVALID, "%s must be a single value", found->path);
			return at_node(r, value, err);
		} else if (strcmp(found->path, "listen.network") == 0) {
			continue; /* read_network took it */
		} else if (set_scalar(r->config, found, scalar(value), err) != TM_OK) {
			return at_node(r, value, err);
		}
	}
	return TM_OK;
}

static const yaml_node_t *child(struct reader *r, const yaml_node_t *map, const char *name)
{
	if (map && map->type == YAML_MAPPING_NODE)
		for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
			const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
			if (key->type == YAML_SCALAR_NODE && tm_str_is(scalar(key), name))
				return yaml_document_get_node(&r->doc, p->value);
		}
	return NULL;
}

/* listen.network decides what the addresses beside it may be, wherever in the file it stands. */
static tm_rc read_network(struct reader *r, const yaml_node_t *root, struct tm_err *err)
{
	const yaml_node_t *n = child(r, child(r, root, "listen"), "network");
	if (!n || n->type != YAML_SCALAR_NODE || set_network(r->config, scalar(n), err) == TM_OK)
		return TM_OK;
	return at_node(r, n, err);
}

static tm_rc read_yaml(struct tm_config *c, const char *file, bool shared, struct tm_str text, struct tm_err *err)
{
	struct reader r = {.config = c, .file = file, .shared = shared};
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser))
		return tm_fail(err, TM_NOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.at, text.len);
	tm_rc rc = TM_OK;
	if (!yaml_parser_load(&parser, &r.doc)) {
		rc = tm_fail(err, TM_SYNTAX, "not YAML: %s", parser.problem ? parser.problem : "unreadable");
		tm_err_at(err, file, (int)parser.problem_mark.line + 1, (int)parser.problem_mark.column + 1);
		yaml_parser_delete(&parser);
		return rc;
	}
	const yaml_node_t *root = yaml_document_get_root_node(&r.doc);
	if (!getenv("TIDEMILL_LISTEN_NETWORK"))
		rc = read_network(&r, root, err);
	if (rc != TM_OK) {
		;
	} else if (root && root->type != YAML_MAPPING_NODE && !(root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0)) {
		tm_fail(err, TM_INVALID, "the file must be a map of keys and values");
		rc = at_node(&r, root, err);
	} else if (root && root->type == YAML_MAPPING_NODE) {
		rc = read_mapping(&r, root, "", err);
	}
	yaml_document_delete(&r.doc);
	yaml_parser_delete(&parser);
	return rc;
}

/* ---- environment ---- */

static tm_rc read_environment(struct tm_config *c, struct tm_err *err)
{
	for (size_t i = 0; i < KEYS; i++) {
		char name[64] = "TIDEMILL_";
		size_t n = strlen(name);
		for (const char *p = keys[i].path; *p && n < sizeof name - 1; p++)
			name[n++] = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
		name[n] = 0;
		const char *value = getenv(name);
		if (!value)
			continue;
		/* Maps are written as YAML, of which {"a": "b"} is a part. */
		tm_rc rc;
		if (keys[i].kind == PAIRS) {
			struct tm_str text = tm_arena_printf(&c->arena, "%s: %s", keys[i].path, value);
			rc = read_yaml(c, name, false, text, err);
		} else {
			rc = set_scalar(c, &keys[i], tm_str_of(value), err);
			if (rc != TM_OK)
				tm_err_at(err, name, 0, 0);
		}
		if (rc != TM_OK)
			return rc;
	}
	return TM_OK;
}

tm_rc tm_config_load(struct tm_config *config, const char *dir, struct tm_err *err)
{
	return tm_config_load_shared(config, dir, "", (struct tm_str){0}, err);
}

tm_rc tm_config_load_shared(struct tm_config *config, const char *dir, const char *shared_name, struct tm_str shared, struct tm_err *err)
{
	memset(config, 0, sizeof *config);
	tm_arena_init(&config->arena);
	char *real = realpath(dir, NULL);
	if (!real || access(real, R_OK | X_OK) != 0) {
		tm_fail(err, TM_NOT_FOUND, "there is no project directory %s", dir);
		tm_err_hint(err, "A project is a directory with dags, tables and pipelines; `tidemill up examples/earthquakes` shows one.");
		free(real);
		return TM_NOT_FOUND;
	}
	config->dir = tm_arena_cstr(&config->arena, tm_str_of(real));
	free(real);
	for (size_t i = 0; i < KEYS; i++)
		if (keys[i].kind != PAIRS)
			TM_TRY(set_scalar(config, &keys[i], tm_str_of(keys[i].fallback), err));
	const char *network = getenv("TIDEMILL_LISTEN_NETWORK"); /* before the file: it decides what addresses may be there */
	if (network && set_network(config, tm_str_of(network), err) != TM_OK) {
		tm_err_at(err, "TIDEMILL_LISTEN_NETWORK", 0, 0);
		return err->rc;
	}
	char path[4096];
	snprintf(path, sizeof path, "%s/tidemill.yaml", config->dir);
	struct tm_buf text = {0};
	tm_rc rc = tm_file_read(tm_env_real(), path, TM_LIMIT_CONFIG_BYTES, &text, err);
	if (rc == TM_OK) {
		rc = read_yaml(config, path, false, tm_buf_str(&text), err);
		tm_buf_done(&text);
	} else if (rc == TM_NOT_FOUND) {
		rc = TM_OK;
	}
	if (rc == TM_OK && shared.at)
		rc = read_yaml(config, tm_arena_cstr(&config->arena, tm_str_of(shared_name)), true, shared, err);
	if (rc == TM_OK)
		rc = read_environment(config, err);
	if (rc == TM_OK)
		rc = check_choices(config, err);
	return rc;
}

void tm_config_done(struct tm_config *config) { tm_arena_done(&config->arena); }
