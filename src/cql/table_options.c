/* WITH … of CREATE and ALTER TABLE: every option of Cassandra 5.0, its type and its range. They are kept and shown; those that
 * tune Cassandra's files change nothing here. */
#include <stdio.h>
#include <stdlib.h>
#include "cql/ddl.h"

enum kind { TEXT, INTEGER, REAL, BOOL, MAP };
#define AT(field) offsetof(struct tm_table_params, field)
static const struct option {
	const char *name;
	enum kind kind;
	size_t at;
	int32_t min;
} options[] = {
    {"comment", TEXT, AT(comment), 0},
    {"additional_write_policy", TEXT, AT(additional_write_policy), 0},
    {"speculative_retry", TEXT, AT(speculative_retry), 0},
    {"read_repair", TEXT, AT(read_repair), 0},
    {"memtable", TEXT, AT(memtable), 0},
    {"bloom_filter_fp_chance", REAL, AT(bloom_filter_fp_chance), 0},
    {"crc_check_chance", REAL, AT(crc_check_chance), 0},
    {"default_time_to_live", INTEGER, AT(default_time_to_live), 0},
    {"gc_grace_seconds", INTEGER, AT(gc_grace_seconds), 0},
    {"min_index_interval", INTEGER, AT(min_index_interval), 1},
    {"max_index_interval", INTEGER, AT(max_index_interval), 1},
    {"memtable_flush_period_in_ms", INTEGER, AT(memtable_flush_period_in_ms), 0},
    {"cdc", BOOL, AT(cdc), 0},
    {"allow_auto_snapshot", BOOL, AT(allow_auto_snapshot), 0},
    {"incremental_backups", BOOL, AT(incremental_backups), 0},
    {"caching", MAP, AT(caching), 0},
    {"compaction", MAP, AT(compaction), 0},
    {"compression", MAP, AT(compression), 0},
    {"extensions", MAP, AT(extensions), 0},
};

static tm_rc config(struct tm_err *err, const char *fmt, const char *name, const char *value)
{
	char text[400];
	size_t n = 0;
	for (const char *p = fmt; *p && n + 1 < sizeof text; p++) {
		const char *put = *p == '%' ? p[1] == 'n' ? name : value : NULL;
		if (put) {
			n += (size_t)snprintf(text + n, sizeof text - n, "%s", put);
			n = n < sizeof text ? n : sizeof text - 1;
			p++;
		} else {
			text[n++] = *p;
		}
	}
	text[n] = 0;
	return cql_fail(err, CQL_CODE_CONFIG, "%s", text);
}

static const struct tm_map_entry *entry(const struct tm_map *m, const char *key)
{
	for (size_t i = 0; i < m->count; i++)
		if (tm_str_is(m->entries[i].key, key))
			return &m->entries[i];
	return NULL;
}

static int entry_cmp(const void *a, const void *b)
{
	return tm_str_cmp(((const struct tm_map_entry *)a)->key, ((const struct tm_map_entry *)b)->key);
}

static void add_entry(struct tm_arena *arena, struct tm_map *m, const char *key, struct tm_str value)
{
	if (entry(m, key))
		return;
	struct tm_map_entry *e = TM_NEW_N(arena, struct tm_map_entry, m->count + 1);
	tm_copy(e, m->entries, m->count * sizeof *e);
	e[m->count] = (struct tm_map_entry){tm_str_of(key), value};
	*m = (struct tm_map){e, m->count + 1};
}

static tm_rc check_compaction(struct tm_arena *arena, struct tm_map *m, struct tm_err *err)
{
	static const char *const known[] = {"SizeTieredCompactionStrategy", "LeveledCompactionStrategy", "TimeWindowCompactionStrategy",
					    "UnifiedCompactionStrategy", NULL};
	struct tm_map_entry *c = (struct tm_map_entry *)entry(m, "class");
	if (!c)
		return cql_fail(err, CQL_CODE_CONFIG, "Missing sub-option 'class' for the 'compaction' option.");
	struct tm_str name = c->value;
	static const char prefix[] = "org.apache.cassandra.db.compaction.";
	if (tm_str_starts(name, TM_STR("org.apache.cassandra.db.compaction.")))
		name = tm_str_slice(name, sizeof prefix - 1, name.len);
	if (!tm_str_among(name, known))
		return cql_fail(err, CQL_CODE_CONFIG, "Unable to find compaction strategy class '%s%.*s'",
				tm_str_find(name, TM_STR("."), 0) == SIZE_MAX ? prefix : "", TM_STR_ARG(name));
	c->value = tm_arena_printf(arena, "%s%.*s", prefix, TM_STR_ARG(name));
	const struct tm_map_entry *lo = entry(m, "min_threshold"), *hi = entry(m, "max_threshold");
	int64_t a, b;
	if (lo && (!tm_str_to_i64(lo->value, &a) || a < 2))
		return cql_fail(err, CQL_CODE_CONFIG, "Min compaction threshold cannot be less than 2 (got %.*s)", TM_STR_ARG(lo->value));
	if (lo && hi && tm_str_to_i64(lo->value, &a) && tm_str_to_i64(hi->value, &b) && b < a)
		return cql_fail(err, CQL_CODE_CONFIG, "Max compaction threshold cannot be less than min");
	if (!tm_str_is(name, "UnifiedCompactionStrategy")) {
		add_entry(arena, m, "max_threshold", TM_STR("32"));
		add_entry(arena, m, "min_threshold", TM_STR("4"));
	}
	qsort(m->entries, m->count, sizeof *m->entries, entry_cmp);
	return TM_OK;
}

static tm_rc check_compression(struct tm_arena *arena, struct tm_map *m, struct tm_err *err)
{
	static const char *const known[] = {"LZ4Compressor",  "SnappyCompressor", "DeflateCompressor",
					    "ZstdCompressor", "NoopCompressor",   NULL};
	struct tm_map_entry *c = (struct tm_map_entry *)entry(m, "class");
	const struct tm_map_entry *enabled = entry(m, "enabled"), *chunk = entry(m, "chunk_length_in_kb");
	int64_t n;
	static const char prefix[] = "org.apache.cassandra.io.compress.";
	if (enabled && tm_str_iis(enabled->value, "false")) {
		struct tm_map_entry *e = TM_NEW_N(arena, struct tm_map_entry, 1);
		e[0] = (struct tm_map_entry){TM_STR("enabled"), TM_STR("false")};
		*m = (struct tm_map){e, 1};
		return TM_OK;
	}
	if (c) {
		struct tm_str name = tm_str_starts(c->value, TM_STR("org.apache.cassandra.io.compress."))
					 ? tm_str_slice(c->value, sizeof prefix - 1, c->value.len)
					 : c->value;
		if (!tm_str_among(name, known))
			return cql_fail(err, CQL_CODE_CONFIG, "Could not create Compression for type %s%.*s",
					tm_str_find(name, TM_STR("."), 0) == SIZE_MAX ? prefix : "", TM_STR_ARG(name));
		c->value = tm_arena_printf(arena, "%s%.*s", prefix, TM_STR_ARG(name));
	} else if (m->count) {
		return cql_fail(err, CQL_CODE_CONFIG, "Missing sub-option 'class' for the 'compression' option.");
	}
	if (chunk) {
		if (!tm_str_to_i64(chunk->value, &n))
			return cql_fail(err, CQL_CODE_CONFIG, "Invalid value for chunk_length_in_kb");
		if (n <= 0)
			return cql_fail(err, CQL_CODE_CONFIG, "Invalid negative or null chunk_length_in_kb");
		if (n & (n - 1))
			return cql_fail(err, CQL_CODE_CONFIG, "chunk_length_in_kb must be a power of 2");
	} else {
		add_entry(arena, m, "chunk_length_in_kb", TM_STR("16"));
	}
	qsort(m->entries, m->count, sizeof *m->entries, entry_cmp);
	return TM_OK;
}

static tm_rc check_caching(struct tm_arena *arena, struct tm_map *m, struct tm_err *err)
{
	int64_t n;
	for (size_t i = 0; i < m->count; i++) {
		struct tm_map_entry *e = &m->entries[i];
		bool keys = tm_str_is(e->key, "keys"), rows = tm_str_is(e->key, "rows_per_partition");
		if (!keys && !rows)
			return cql_fail(err, CQL_CODE_CONFIG, "Invalid caching sub-options: [%.*s]", TM_STR_ARG(e->key));
		bool word = tm_str_iis(e->value, "ALL") || tm_str_iis(e->value, "NONE");
		if (keys && !word)
			return cql_fail(err, CQL_CODE_CONFIG,
					"Invalid value '%.*s' for caching sub-option 'keys': only 'ALL' and 'NONE' are allowed",
					TM_STR_ARG(e->value));
		if (rows && !word && (!tm_str_to_i64(e->value, &n) || n < 0))
			return cql_fail(err, CQL_CODE_CONFIG,
					"Invalid value '%.*s' for caching sub-option 'rows_per_partition': only 'ALL', 'NONE', and integer "
					"values are allowed",
					TM_STR_ARG(e->value));
	}
	add_entry(arena, m, "keys", TM_STR("ALL"));
	add_entry(arena, m, "rows_per_partition", TM_STR("NONE"));
	qsort(m->entries, m->count, sizeof *m->entries, entry_cmp);
	return TM_OK;
}

static bool retry_ok(struct tm_str v)
{
	int64_t n;
	if (tm_str_iis(v, "NONE") || tm_str_iis(v, "ALWAYS"))
		return true;
	struct tm_str number = v;
	if (tm_str_ends(v, TM_STR("percentile")) || tm_str_ends(v, TM_STR("PERCENTILE")))
		number.len -= 10;
	else if (v.len > 2 && (tm_str_ends(v, TM_STR("ms")) || tm_str_ends(v, TM_STR("MS"))))
		number.len -= 2;
	else if (v.len > 1 && (v.at[v.len - 1] == 'p' || v.at[v.len - 1] == 'P'))
		number.len -= 1;
	else
		return tm_str_starts(v, TM_STR("MIN(")) || tm_str_starts(v, TM_STR("MAX(")) || tm_str_starts(v, TM_STR("min(")) ||
		       tm_str_starts(v, TM_STR("max("));
	size_t dot = tm_str_find(number, TM_STR("."), 0);
	return tm_str_to_i64(tm_str_slice(number, 0, dot == SIZE_MAX ? number.len : dot), &n) && n >= 0;
}

static tm_rc set_option(struct tm_arena *arena, const struct cql_property *x, const struct option *o, struct tm_table_params *params,
			struct tm_err *err)
{
	char *field = (char *)params + o->at;
	char *value = tm_arena_cstr(arena, x->value);
	int64_t n;
	if ((o->kind == MAP) != x->is_map)
		return cql_fail(err, CQL_CODE_SYNTAX, "Invalid value for property '%s'. It should be a %s.", o->name,
				o->kind == MAP ? "map" : "string");
	switch (o->kind) {
	case TEXT:
		if ((tm_str_is(x->name, "speculative_retry") || tm_str_is(x->name, "additional_write_policy")) && !retry_ok(x->value))
			return config(err, "Invalid value %v for option '%n'", o->name, value);
		if (tm_str_is(x->name, "memtable") && !tm_str_is(x->value, "default"))
			return config(err, "Memtable configuration \"%v\" not found.", o->name, value);
		if (tm_str_is(x->name, "read_repair") && !tm_str_iis(x->value, "BLOCKING") && !tm_str_iis(x->value, "NONE"))
			return config(err, "Invalid value '%v' for option '%n'; allowed values are: BLOCKING, NONE", o->name, value);
		*(struct tm_str *)field = x->value;
		return TM_OK;
	case INTEGER:
		if (!tm_str_to_i64(x->value, &n) || n > INT32_MAX || n < INT32_MIN)
			return cql_fail(err, CQL_CODE_SYNTAX, "Invalid integer value %s for '%s'", value, o->name);
		if (n < o->min)
			return cql_fail(err, CQL_CODE_CONFIG, "%s must be greater than or equal to %d (got %lld)", o->name, o->min,
					(long long)n);
		if (tm_str_is(x->name, "default_time_to_live") && n > 630720000)
			return cql_fail(err, CQL_CODE_CONFIG, "default_time_to_live must be less than or equal to 630720000 (got %lld)",
					(long long)n);
		*(int32_t *)field = (int32_t)n;
		return TM_OK;
	case REAL: {
		char *end;
		double v = strtod(value, &end);
		if (*end || end == value)
			return cql_fail(err, CQL_CODE_SYNTAX, "Invalid double value %s for '%s'", value, o->name);
		struct tm_buf b = {0};
		cql_double_text(v, false, &b);
		tm_rc rc = TM_OK;
		if (tm_str_is(x->name, "bloom_filter_fp_chance") && (v <= 6.71e-5 || v > 1))
			rc = cql_fail(err, CQL_CODE_CONFIG,
				      "bloom_filter_fp_chance must be larger than 6.71E-5 and less than or equal to 1.0 (got %s)",
				      tm_buf_cstr(&b));
		if (tm_str_is(x->name, "crc_check_chance") && (v < 0 || v > 1))
			rc = cql_fail(err, CQL_CODE_CONFIG,
				      "crc_check_chance must be larger than or equal to 0 and smaller than or equal to 1.0 (got %s)",
				      tm_buf_cstr(&b));
		tm_buf_done(&b);
		*(double *)field = v;
		return rc;
	}
	case BOOL:
		if (!tm_str_iis(x->value, "true") && !tm_str_iis(x->value, "false") && !tm_str_is(x->value, "1") &&
		    !tm_str_is(x->value, "0") && !tm_str_iis(x->value, "yes") && !tm_str_iis(x->value, "no"))
			return cql_fail(err, CQL_CODE_SYNTAX, "Invalid boolean value %s for '%s'", value, o->name);
		*(bool *)field = tm_str_iis(x->value, "true") || tm_str_is(x->value, "1") || tm_str_iis(x->value, "yes");
		return TM_OK;
	case MAP: {
		struct tm_map *m = (struct tm_map *)field;
		struct tm_map_entry *e = TM_NEW_N(arena, struct tm_map_entry, x->map.count + 1);
		tm_copy(e, x->map.entries, x->map.count * sizeof *e);
		*m = (struct tm_map){e, x->map.count};
		return tm_str_is(x->name, "compaction")    ? check_compaction(arena, m, err)
		       : tm_str_is(x->name, "compression") ? check_compression(arena, m, err)
		       : tm_str_is(x->name, "caching")     ? check_caching(arena, m, err)
							   : TM_OK;
	}
	}
	return TM_OK;
}

tm_rc cql_table_options(struct tm_arena *arena, const struct cql_properties *p, struct tm_table_params *params, uint8_t *id,
			struct tm_err *err)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct cql_property *x = &p->items[i];
		const struct option *o = NULL;
		for (size_t j = 0; j < sizeof options / sizeof *options; j++)
			if (tm_str_is(x->name, options[j].name))
				o = &options[j];
		if (id && tm_str_is(x->name, "id")) {
			struct tm_str uuid;
			struct tm_err bad;
			if (cql_from_string(arena, tm_type_native(TM_CQL_UUID), x->value, &uuid, &bad) != TM_OK)
				return cql_fail(err, CQL_CODE_CONFIG, "Invalid table id");
			memcpy(id, uuid.at, 16);
			continue;
		}
		if (!o)
			return cql_fail(err, CQL_CODE_SYNTAX, "Unknown property '%.*s'", TM_STR_ARG(x->name));
		TM_TRY(set_option(arena, x, o, params, err));
	}
	bool bloom = false, leveled = false;
	for (size_t i = 0; i < p->count; i++) {
		bloom |= tm_str_is(p->items[i].name, "bloom_filter_fp_chance");
		leveled |= tm_str_is(p->items[i].name, "compaction") &&
			   tm_str_ends(entry(&params->compaction, "class")->value, TM_STR("LeveledCompactionStrategy"));
	}
	if (leveled && !bloom)
		params->bloom_filter_fp_chance = 0.1;
	if (params->max_index_interval < params->min_index_interval)
		return cql_fail(err, CQL_CODE_CONFIG, "max_index_interval must be greater than or equal to min_index_interval (got %d)",
				params->max_index_interval);
	return TM_OK;
}
