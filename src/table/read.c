/* Reading: keys are walked in order through one iterator (or fetched by one get when a single row is asked for); heads give
 * static cells, the partition's deletion and its range tombstones, which then hide what they cover in the rows behind. */
#include "table/read.h"
#include "table/mutation.h"
#include "table/table_int.h"
#include <stdlib.h>

struct tm_read {
	struct tm_store *store;
	const struct tm_table *table;
	struct tm_read_options o;
	rocksdb_readoptions_t *read_options;
	rocksdb_iterator_t *it;
	struct tm_buf lower, upper, seek; /* bounds the iterator points to; scratch */
	struct tm_arena partition_arena, row_arena;
	size_t *column_of_id;
	/* the partition we are in */
	struct tm_buf prefix; /* its key up to the kind byte; empty = none yet */
	struct tm_str *partition_key;
	bool has_deletion, given; /* a row of it was given */
	int64_t deletion_us;
	struct tm_range_tombstone *ranges;
	size_t range_count;
	struct tm_str head; /* a copy of the head's value */
	struct tm_cell *static_cells;
	size_t static_count;
	/* the walk */
	size_t slice;
	bool started, finished, in_slice, point_done;
	/* what is given */
	struct tm_read_row row;
	struct tm_read_column *columns;
	struct tm_str *clustering;
	struct tm_buf position;
	struct tm_cells cells;
};

static tm_rc corrupt(struct tm_err *err) { return tm_fail(err, TM_CORRUPT, "the table store holds a row that cannot be read"); }

struct tm_read *tm_read_open(struct tm_store *store, const struct tm_table *table, const struct tm_read_options *options)
{
	struct tm_read *r = tm_zalloc(sizeof *r);
	r->store = store;
	r->table = table;
	r->o = *options;
	tm_arena_init(&r->partition_arena);
	tm_arena_init(&r->row_arena);
	const struct tm_table_def *def = &table->def;
	r->columns = tm_zalloc((def->column_count + 1) * sizeof *r->columns);
	r->clustering = tm_zalloc((def->clustering_count + 1) * sizeof *r->clustering);
	r->column_of_id = tm_alloc((table->next_column_id + 1) * sizeof *r->column_of_id);
	for (uint32_t i = 0; i < table->next_column_id; i++)
		r->column_of_id[i] = SIZE_MAX;
	for (size_t i = 0; i < def->column_count; i++)
		r->column_of_id[table->column_id[i]] = i;
	return r;
}

void tm_read_close(struct tm_read *r)
{
	if (!r)
		return;
	if (r->it)
		rocksdb_iter_destroy(r->it);
	if (r->read_options)
		rocksdb_readoptions_destroy(r->read_options);
	tm_buf_done(&r->lower);
	tm_buf_done(&r->upper);
	tm_buf_done(&r->seek);
	tm_buf_done(&r->prefix);
	tm_buf_done(&r->position);
	tm_arena_done(&r->partition_arena);
	tm_arena_done(&r->row_arena);
	free(r->columns);
	free(r->clustering);
	free(r->column_of_id);
	free(r->cells.items);
	free(r);
}

/* Length of number, token and escaped partition key at the front of a key; 0 when it is none of ours. */
static size_t prefix_length(struct tm_str key)
{
	for (size_t i = 12; i + 1 < key.len; i++)
		if (key.at[i] == 0) {
			if (key.at[i + 1] == 0)
				return i + 2;
			i++;
		}
	return 0;
}

static bool split_partition_key(struct tm_read *r, struct tm_str prefix)
{
	const struct tm_table_def *def = &r->table->def;
	char *raw = tm_arena_alloc(&r->partition_arena, prefix.len);
	size_t n = 0;
	for (size_t i = 12; i + 2 < prefix.len; i++) {
		raw[n++] = prefix.at[i];
		i += prefix.at[i] == 0;
	}
	r->partition_key = TM_NEW_N(&r->partition_arena, struct tm_str, def->partition_key_count + 1);
	if (def->partition_key_count == 1) {
		r->partition_key[0] = tm_str_n(raw, n);
		return true;
	}
	struct tm_cursor c = tm_cursor_of(tm_str_n(raw, n));
	for (size_t i = 0; i < def->partition_key_count; i++) {
		r->partition_key[i] = tm_cursor_take(&c, tm_cursor_be16(&c));
		tm_cursor_u8(&c);
	}
	return !c.bad;
}

static bool alive(const struct tm_cell *c, int64_t now_s)
{
	return !(c->flags & (TM_CELL_DEAD | TM_CELL_CLEARED)) && !(c->flags & TM_CELL_EXPIRING && c->at_s <= now_s);
}

static tm_rc load_head(struct tm_read *r, struct tm_str value, struct tm_err *err)
{
	struct tm_row_reader reader;
	r->head = tm_arena_str(&r->partition_arena, value);
	if (!tm_row_open(r->head, &reader))
		return corrupt(err);
	r->has_deletion = reader.info.has_deletion;
	r->deletion_us = reader.info.deletion_us;
	r->ranges = TM_NEW_N(&r->partition_arena, struct tm_range_tombstone, reader.info.range_count + 1);
	r->range_count = 0;
	while (tm_row_next_range(&reader, &r->ranges[r->range_count]))
		r->range_count++;
	struct tm_cells statics = {0};
	struct tm_cell c;
	int more;
	while ((more = tm_row_next(&reader, &c)) > 0)
		if (alive(&c, r->o.now_s) && !(r->has_deletion && c.timestamp_us <= r->deletion_us) &&
		    c.column < r->table->next_column_id && r->column_of_id[c.column] != SIZE_MAX)
			TM_PUSH_IN(&r->partition_arena, &statics, c);
	r->static_cells = statics.items;
	r->static_count = statics.count;
	return more < 0 ? corrupt(err) : TM_OK;
}

static tm_rc enter_partition(struct tm_read *r, struct tm_str prefix, struct tm_err *err)
{
	tm_arena_reset(&r->partition_arena);
	r->prefix.len = 0;
	tm_buf_str_put(&r->prefix, prefix);
	r->has_deletion = r->given = false;
	r->range_count = r->static_count = 0;
	return split_partition_key(r, tm_buf_str(&r->prefix)) ? TM_OK : corrupt(err);
}

static void set_column_cells(struct tm_read *r, const struct tm_cell *cells, size_t count)
{
	for (size_t i = 0; i < count;) {
		size_t n = 1;
		while (i + n < count && cells[i + n].column == cells[i].column)
			n++;
		r->columns[r->column_of_id[cells[i].column]] = (struct tm_read_column){&cells[i], n};
		i += n;
	}
}

static void begin_row(struct tm_read *r, struct tm_str key)
{
	memset(r->columns, 0, r->table->def.column_count * sizeof *r->columns);
	set_column_cells(r, r->static_cells, r->static_count);
	r->position.len = 0;
	tm_buf_str_put(&r->position, tm_str_slice(key, 4, key.len));
	r->row = (struct tm_read_row){.partition_key = r->partition_key,
				      .columns = r->columns,
				      .position = tm_buf_str(&r->position),
				      .first_of_partition = !r->given};
	r->given = true;
}

/* The static cells alone, as a row. */
static int give_static(struct tm_read *r, const struct tm_read_row **ret)
{
	struct tm_buf key = {0};
	tm_buf_str_put(&key, tm_buf_str(&r->prefix));
	tm_buf_u8(&key, TM_KEY_HEAD);
	begin_row(r, tm_buf_str(&key));
	tm_buf_done(&key);
	*ret = &r->row;
	return 1;
}

/* 1 the row is alive and set up, 0 it is not, -1 bad bytes. */
static int load_row(struct tm_read *r, struct tm_str key, struct tm_str value)
{
	struct tm_row_reader reader;
	if (!tm_row_open(value, &reader))
		return -1;
	struct tm_str ck = tm_str_slice(key, r->prefix.len + 1, key.len);
	int64_t hidden_us = INT64_MIN;
	bool hides = false;
#define HIDE(us) (hidden_us = !hides || (us) > hidden_us ? (us) : hidden_us, hides = true)
	if (r->has_deletion)
		HIDE(r->deletion_us);
	if (reader.info.has_deletion)
		HIDE(reader.info.deletion_us);
	for (size_t i = 0; i < r->range_count; i++)
		if (tm_str_cmp(ck, r->ranges[i].start) >= 0 && (r->ranges[i].end.len == 0 || tm_str_cmp(ck, r->ranges[i].end) < 0))
			HIDE(r->ranges[i].timestamp_us);
#undef HIDE
	bool marker = reader.info.has_marker && !(hides && reader.info.marker_us <= hidden_us) &&
		      !(reader.info.marker_ttl_s && reader.info.marker_expiry_s <= r->o.now_s);
	r->cells.count = 0;
	struct tm_cell c;
	int more;
	size_t live = 0, keys = r->table->def.partition_key_count + r->table->def.clustering_count;
	while ((more = tm_row_next(&reader, &c)) > 0) {
		if (!alive(&c, r->o.now_s) || (hides && c.timestamp_us <= hidden_us) || c.column >= r->table->next_column_id)
			continue;
		size_t column = r->column_of_id[c.column];
		if (column == SIZE_MAX)
			continue;
		TM_PUSH(&r->cells, c);
		live += column >= keys; /* originals of clustering values keep no row alive */
	}
	if (more < 0)
		return -1;
	if (!marker && !live)
		return 0;
	if (r->o.static_only)
		return 1;
	begin_row(r, key);
	set_column_cells(r, r->cells.items, r->cells.count);
	r->row.has_marker = marker;
	r->row.marker_us = reader.info.marker_us;
	tm_arena_reset(&r->row_arena);
	struct tm_cursor kc = tm_cursor_of(ck);
	const struct tm_table_column *cc = r->table->def.columns + r->table->def.partition_key_count;
	for (size_t i = 0; i < r->table->def.clustering_count; i++) {
		struct tm_read_column *kept = &r->columns[r->table->def.partition_key_count + i];
		if (!tm_value_order_take(cc[i].type, &kc, &r->row_arena, &r->clustering[i]))
			return -1;
		if (kept->count)
			r->clustering[i] = kept->cells[0].value;
		kept->count = 0;
	}
	r->row.clustering = r->clustering;
	return 1;
}

static void seek_key(struct tm_read *r, struct tm_str a, const char *tail, size_t tail_length)
{
	r->seek.len = 0;
	tm_buf_str_put(&r->seek, a);
	tm_buf_put(&r->seek, tail, tail_length);
	rocksdb_iter_seek(r->it, r->seek.at, r->seek.len);
}

static struct tm_str it_key(struct tm_read *r)
{
	struct tm_str s;
	s.at = rocksdb_iter_key(r->it, &s.len);
	return s;
}

static struct tm_str it_value(struct tm_read *r)
{
	struct tm_str s;
	s.at = rocksdb_iter_value(r->it, &s.len);
	return s;
}

static void open_iterator(struct tm_read *r)
{
	r->read_options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_iterate_upper_bound(r->read_options, r->upper.at, r->upper.len);
	rocksdb_readoptions_set_iterate_lower_bound(r->read_options, r->lower.at, r->lower.len);
	/* A scan over partitions would fill the cache with what nobody asks for again. */
	rocksdb_readoptions_set_fill_cache(r->read_options, r->o.has_partition);
	r->it = rocksdb_create_iterator_cf(r->store->db, r->read_options, r->store->family[TM_FAMILY_DATA]);
}

static int at_end(struct tm_read *r, struct tm_err *err)
{
	char *message = NULL;
	rocksdb_iter_get_error(r->it, &message);
	r->finished = true;
	if (message) {
		(void)tm_store_failed(message, "cannot read from the table store", err);
		return -1;
	}
	return 0;
}

/* ---- one partition ---- */
static bool one_row_wanted(const struct tm_read *r)
{
	const struct tm_read_options *o = &r->o;
	if (!o->has_partition || o->static_only || o->after.len)
		return false;
	if (r->table->def.clustering_count == 0)
		return true;
	return o->slice_count == 1 && o->slices[0].end.len == o->slices[0].start.len + 1 &&
	       memcmp(o->slices[0].start.at, o->slices[0].end.at, o->slices[0].start.len) == 0 &&
	       o->slices[0].end.at[o->slices[0].start.len] == '\xFF' && o->no_static_row && o->slices[0].start.len > 0;
}

static tm_rc get_key(struct tm_read *r, rocksdb_pinnableslice_t **ret, struct tm_str *ret_value, struct tm_err *err)
{
	char *message = NULL;
	*ret = rocksdb_get_pinned_cf(r->store->db, r->store->read_options, r->store->family[TM_FAMILY_DATA], r->seek.at, r->seek.len,
				     &message);
	if (message)
		return tm_store_failed(message, "cannot read from the table store", err);
	if (*ret)
		ret_value->at = rocksdb_pinnableslice_value(*ret, &ret_value->len);
	return TM_OK;
}

/* A slice of this shape may still be of a prefix of the clustering key: true only when it names one full row. */
static bool full_clustering(struct tm_read *r, struct tm_str ck)
{
	struct tm_cursor c = tm_cursor_of(ck);
	struct tm_str value;
	const struct tm_table_column *cc = r->table->def.columns + r->table->def.partition_key_count;
	tm_arena_reset(&r->row_arena);
	for (size_t i = 0; i < r->table->def.clustering_count; i++)
		if (!tm_value_order_take(cc[i].type, &c, &r->row_arena, &value))
			return false;
	return c.at == c.end;
}

static int read_point(struct tm_read *r, struct tm_str prefix, const struct tm_read_row **ret, struct tm_err *err)
{
	r->finished = true;
	rocksdb_pinnableslice_t *pin;
	struct tm_str value;
	if (enter_partition(r, prefix, err) != TM_OK)
		return -1;
	r->seek.len = 0;
	tm_buf_str_put(&r->seek, tm_buf_str(&r->prefix));
	tm_buf_u8(&r->seek, TM_KEY_HEAD);
	if (get_key(r, &pin, &value, err) != TM_OK)
		return -1;
	if (pin) {
		tm_rc rc = load_head(r, value, err);
		rocksdb_pinnableslice_destroy(pin);
		if (rc != TM_OK)
			return -1;
	}
	r->seek.at[r->seek.len - 1] = TM_KEY_ROW;
	if (r->table->def.clustering_count)
		tm_buf_str_put(&r->seek, r->o.slices[0].start);
	if (get_key(r, &pin, &value, err) != TM_OK)
		return -1;
	if (!pin)
		return 0;
	struct tm_str copy = tm_arena_str(&r->partition_arena, value);
	rocksdb_pinnableslice_destroy(pin);
	int got = load_row(r, tm_buf_str(&r->seek), copy);
	if (got < 0)
		(void)corrupt(err);
	*ret = &r->row;
	return got;
}

static tm_rc start_partition(struct tm_read *r, struct tm_str prefix, struct tm_err *err)
{
	tm_buf_str_put(&r->lower, prefix);
	tm_buf_str_put(&r->upper, prefix);
	tm_buf_u8(&r->upper, 0xFF);
	open_iterator(r);
	TM_TRY(enter_partition(r, prefix, err));
	seek_key(r, tm_buf_str(&r->prefix), (char[]){TM_KEY_HEAD}, 1);
	if (rocksdb_iter_valid(r->it) && tm_str_eq(it_key(r), tm_buf_str(&r->seek)))
		TM_TRY(load_head(r, it_value(r), err));
	return TM_OK;
}

/* The slices in walking order; without any: one that is all rows. */
static struct tm_read_slice slice_at(const struct tm_read *r)
{
	if (r->o.slice_count == 0)
		return (struct tm_read_slice){{"", 0}, {"", 0}};
	return r->o.slices[r->o.reverse ? r->o.slice_count - 1 - r->slice : r->slice];
}

static void row_key(struct tm_read *r, struct tm_str clustering)
{
	r->seek.len = 0;
	tm_buf_str_put(&r->seek, tm_buf_str(&r->prefix));
	tm_buf_u8(&r->seek, TM_KEY_ROW);
	tm_buf_str_put(&r->seek, clustering);
}

static void enter_slice(struct tm_read *r, struct tm_str after_row)
{
	struct tm_read_slice s = slice_at(r);
	if (!r->o.reverse) {
		row_key(r, s.start);
		if (after_row.len && tm_str_cmp(after_row, tm_buf_str(&r->seek)) >= 0) {
			r->seek.len = 0;
			tm_buf_str_put(&r->seek, after_row);
			tm_buf_u8(&r->seek, 0);
		}
		rocksdb_iter_seek(r->it, r->seek.at, r->seek.len);
		return;
	}
	row_key(r, s.end);
	if (s.end.len == 0)
		tm_buf_u8(&r->seek, 0xFF);
	if (after_row.len && tm_str_cmp(after_row, tm_buf_str(&r->seek)) < 0) {
		r->seek.len = 0;
		tm_buf_str_put(&r->seek, after_row);
	}
	rocksdb_iter_seek_for_prev(r->it, r->seek.at, r->seek.len);
	if (rocksdb_iter_valid(r->it) && tm_str_eq(it_key(r), tm_buf_str(&r->seek)))
		rocksdb_iter_prev(r->it);
}

static bool inside_slice(struct tm_read *r, struct tm_str key)
{
	if (key.len <= r->prefix.len || !tm_str_starts(key, tm_buf_str(&r->prefix)) || key.at[r->prefix.len] != TM_KEY_ROW)
		return false;
	struct tm_read_slice s = slice_at(r);
	struct tm_str ck = tm_str_slice(key, r->prefix.len + 1, key.len);
	return r->o.reverse ? tm_str_cmp(ck, s.start) >= 0 : s.end.len == 0 || tm_str_cmp(ck, s.end) < 0;
}

static int next_in_partition(struct tm_read *r, const struct tm_read_row **ret, struct tm_err *err)
{
	struct tm_buf after = {0};
	int got = 0;
	if (!r->started) {
		r->started = true;
		struct tm_buf prefix = {0};
		tm_key_partition(&prefix, r->table->number, r->o.partition_key);
		if (one_row_wanted(r) && (r->table->def.clustering_count == 0 || full_clustering(r, r->o.slices[0].start))) {
			got = read_point(r, tm_buf_str(&prefix), ret, err);
			if (got == 0 && r->table->def.clustering_count == 0 && r->static_count && !r->o.no_static_row)
				got = give_static(r, ret);
			tm_buf_done(&prefix);
			return got;
		}
		tm_rc rc = start_partition(r, tm_buf_str(&prefix), err);
		tm_buf_done(&prefix);
		if (rc != TM_OK)
			return -1;
		if (r->o.after.len) {
			tm_key_table(&after, r->table->number);
			tm_buf_str_put(&after, r->o.after);
			r->given = true;
		}
	}
	size_t slices = r->o.slice_count ? r->o.slice_count : 1;
	while (!r->finished && got == 0 && r->slice < slices) {
		if (!r->in_slice)
			enter_slice(r, tm_buf_str(&after));
		else if (r->o.reverse)
			rocksdb_iter_prev(r->it);
		else
			rocksdb_iter_next(r->it);
		r->in_slice = true;
		if (!rocksdb_iter_valid(r->it) || !inside_slice(r, it_key(r))) {
			char *message = NULL;
			rocksdb_iter_get_error(r->it, &message);
			if (message) {
				(void)tm_store_failed(message, "cannot read from the table store", err);
				got = -1;
			}
			r->in_slice = false;
			r->slice++;
			continue;
		}
		got = load_row(r, it_key(r), it_value(r));
		if (got > 0 && r->o.static_only)
			break;
		if (got < 0)
			(void)corrupt(err);
	}
	tm_buf_done(&after);
	if (got < 0) {
		r->finished = true;
		return -1;
	}
	if (got > 0 && !r->o.static_only) {
		*ret = &r->row;
		return 1;
	}
	if (r->finished)
		return 0;
	r->finished = true;
	if (r->o.static_only ? (got > 0 || r->static_count) && !r->o.after.len : r->static_count && !r->given && !r->o.no_static_row)
		return give_static(r, ret);
	return 0;
}

/* ---- a range of tokens ---- */
static tm_rc start_range(struct tm_read *r, struct tm_err *err)
{
	tm_key_table(&r->lower, r->table->number);
	tm_buf_be64(&r->lower, (uint64_t)r->o.token_from ^ 1ull << 63);
	if (r->o.token_to == INT64_MAX) {
		tm_key_table(&r->upper, r->table->number + 1);
	} else {
		tm_key_table(&r->upper, r->table->number);
		tm_buf_be64(&r->upper, (uint64_t)(r->o.token_to + 1) ^ 1ull << 63);
	}
	open_iterator(r);
	if (!r->o.after.len) {
		rocksdb_iter_seek(r->it, r->lower.at, r->lower.len);
		return TM_OK;
	}
	struct tm_buf after = {0};
	tm_key_table(&after, r->table->number);
	tm_buf_str_put(&after, r->o.after);
	size_t n = prefix_length(tm_buf_str(&after));
	tm_rc rc = n && n < after.len ? enter_partition(r, tm_str_n(after.at, n), err)
				      : tm_fail(err, TM_INVALID, "Invalid value for the paging state");
	if (rc == TM_OK) {
		r->given = true;
		seek_key(r, tm_buf_str(&r->prefix), (char[]){TM_KEY_HEAD}, 1);
		if (rocksdb_iter_valid(r->it) && tm_str_eq(it_key(r), tm_buf_str(&r->seek)))
			rc = load_head(r, it_value(r), err);
		if (after.at[n] == TM_KEY_HEAD || r->o.static_only)
			seek_key(r, tm_buf_str(&r->prefix), "\xFF", 1);
		else
			seek_key(r, tm_buf_str(&after), "\0", 1);
	}
	tm_buf_done(&after);
	return rc;
}

static bool owes_static(const struct tm_read *r) { return r->prefix.len && !r->given && r->static_count && !r->o.no_static_row; }

static int next_in_range(struct tm_read *r, const struct tm_read_row **ret, struct tm_err *err)
{
	if (!r->started) {
		r->started = true;
		if (start_range(r, err) != TM_OK) {
			r->finished = true;
			return -1;
		}
	}
	for (; !r->finished;) {
		if (r->in_slice) /* the iterator stands on what was given */
			rocksdb_iter_next(r->it);
		r->in_slice = false;
		if (!rocksdb_iter_valid(r->it)) {
			if (at_end(r, err) < 0)
				return -1;
			return owes_static(r) ? give_static(r, ret) : 0;
		}
		struct tm_str key = it_key(r), value = it_value(r);
		size_t n = prefix_length(key);
		if (n == 0 || n >= key.len) {
			(void)corrupt(err);
			r->finished = true;
			return -1;
		}
		if (n != r->prefix.len || memcmp(key.at, r->prefix.at, n) != 0) {
			if (owes_static(r))
				return give_static(r, ret); /* comes back to this key */
			if (enter_partition(r, tm_str_n(key.at, n), err) != TM_OK)
				return -1;
		}
		if (key.at[n] == TM_KEY_HEAD) {
			if (load_head(r, value, err) != TM_OK)
				return -1;
			rocksdb_iter_next(r->it);
			if (r->o.static_only && r->static_count) {
				seek_key(r, tm_buf_str(&r->prefix), "\xFF", 1);
				return give_static(r, ret);
			}
			continue;
		}
		int got = load_row(r, key, value);
		if (got < 0) {
			(void)corrupt(err);
			r->finished = true;
			return -1;
		}
		if (got && r->o.static_only) {
			seek_key(r, tm_buf_str(&r->prefix), "\xFF", 1);
			return give_static(r, ret);
		}
		if (got) {
			r->in_slice = true;
			*ret = &r->row;
			return 1;
		}
		rocksdb_iter_next(r->it);
	}
	return 0;
}

int tm_read_next(struct tm_read *r, const struct tm_read_row **ret, struct tm_err *err)
{
	if (r->finished)
		return 0;
	return r->o.has_partition ? next_in_partition(r, ret, err) : next_in_range(r, ret, err);
}

/* ---- values of cells ---- */
struct tm_str tm_read_path(const struct tm_cql_type *type, struct tm_str path, struct tm_arena *arena)
{
	struct tm_cursor c = tm_cursor_of(path);
	struct tm_str s = {0};
	if (!tm_value_order_take(type->args[0], &c, arena, &s))
		return (struct tm_str){"", 0};
	return s;
}

static void put_item(struct tm_buf *b, struct tm_str s)
{
	tm_buf_be32(b, s.at ? (uint32_t)s.len : UINT32_MAX);
	tm_buf_str_put(b, s);
}

struct tm_cql_value tm_read_value(const struct tm_cql_type *type, const struct tm_read_column *column, struct tm_arena *arena)
{
	if (column->count == 0)
		return (struct tm_cql_value){.null = true};
	if (!tm_type_is_multicell(type))
		return (struct tm_cql_value){.bytes = column->cells[0].value};
	struct tm_buf b = {0};
	if (type->kind == TM_CQL_UDT) {
		size_t at = 0;
		for (size_t f = 0; f < type->arg_count; f++) {
			struct tm_str v = {0};
			if (at < column->count && column->cells[at].path.len == 2) {
				uint16_t index;
				memcpy(&index, column->cells[at].path.at, 2);
				if (__builtin_bswap16(index) == f)
					v = column->cells[at++].value;
			}
			put_item(&b, v);
		}
	} else {
		tm_buf_be32(&b, (uint32_t)column->count);
		for (size_t i = 0; i < column->count; i++) {
			const struct tm_cell *c = &column->cells[i];
			if (type->kind == TM_CQL_LIST) {
				put_item(&b, c->value);
			} else if (type->kind == TM_CQL_SET) {
				put_item(&b, c->value.len ? c->value : tm_read_path(type, c->path, arena));
			} else if (tm_value_order_is_exact(type->args[0])) {
				put_item(&b, tm_read_path(type, c->path, arena));
				put_item(&b, c->value);
			} else { /* the key as written stands in front of the value */
				struct tm_cursor kv = tm_cursor_of(c->value);
				size_t n = tm_cursor_varint(&kv, 32);
				put_item(&b, tm_cursor_take(&kv, n));
				put_item(&b, tm_str_n(kv.at, tm_cursor_left(&kv)));
			}
		}
	}
	struct tm_cql_value v = {.bytes = tm_arena_str(arena, tm_buf_str(&b))};
	tm_buf_done(&b);
	return v;
}

/* ---- the simple scan of table.h ---- */
static tm_rc slice_of_prefix(const struct tm_table_def *def, const struct tm_cql_value *key, size_t key_count, struct tm_buf *bytes,
			     struct tm_read_slice *ret)
{
	for (size_t i = def->partition_key_count; i < key_count; i++)
		tm_value_order_put(def->columns[i].type, key[i].bytes, bytes);
	tm_buf_u8(bytes, 0xFF);
	*ret = (struct tm_read_slice){tm_str_n(bytes->at, bytes->len - 1), tm_buf_str(bytes)};
	return TM_OK;
}

tm_rc tm_table_scan(struct tm_store *store, const struct tm_table_def *def, const struct tm_cql_value *key, size_t key_count,
		    tm_rc (*each)(void *ctx, const struct tm_table_row *row), void *ctx, struct tm_err *err)
{
	struct tm_buf pk = {0}, ck = {0};
	struct tm_read_slice slice;
	struct tm_read_options o = {.token_from = INT64_MIN, .token_to = INT64_MAX, .now_s = tm_store_clock_s(store)};
	struct tm_arena arena;
	tm_arena_init(&arena);
	if (key_count) {
		if (key_count < def->partition_key_count || key_count > def->partition_key_count + def->clustering_count) {
			tm_arena_done(&arena);
			return tm_fail(err, TM_INVALID, "a scan of %.*s needs all of the partition key or nothing", TM_STR_ARG(def->name));
		}
		struct tm_str *parts = TM_NEW_N(&arena, struct tm_str, def->partition_key_count);
		for (size_t i = 0; i < def->partition_key_count; i++)
			parts[i] = key[i].bytes;
		tm_table_partition_key(def, parts, &pk);
		o.has_partition = true;
		o.partition_key = tm_buf_str(&pk);
	}
	if (key_count > def->partition_key_count) {
		(void)slice_of_prefix(def, key, key_count, &ck, &slice);
		o.slices = &slice;
		o.slice_count = 1;
		o.no_static_row = true;
	}
	struct tm_cql_value *values = tm_alloc((def->column_count + 1) * sizeof *values);
	struct tm_read *read = tm_read_open(store, tm_table_of(def), &o);
	const struct tm_read_row *row;
	tm_rc rc = TM_OK;
	int got;
	while (rc == TM_OK && (got = tm_read_next(read, &row, err)) != 0) {
		if (got < 0) {
			rc = err ? err->rc : TM_IO;
			break;
		}
		tm_arena_reset(&arena);
		for (size_t i = 0; i < def->column_count; i++) {
			if (i < def->partition_key_count)
				values[i] = (struct tm_cql_value){.bytes = row->partition_key[i]};
			else if (i < def->partition_key_count + def->clustering_count)
				values[i] = row->clustering ? (struct tm_cql_value){.bytes = row->clustering[i - def->partition_key_count]}
							    : (struct tm_cql_value){.null = true};
			else
				values[i] = tm_read_value(def->columns[i].type, &row->columns[i], &arena);
		}
		rc = each(ctx, &(struct tm_table_row){values});
	}
	tm_read_close(read);
	free(values);
	tm_buf_done(&pk);
	tm_buf_done(&ck);
	tm_arena_done(&arena);
	return rc;
}

static tm_rc count_one(void *ctx, const struct tm_table_row *row)
{
	(void)row;
	++*(int64_t *)ctx;
	return TM_OK;
}

tm_rc tm_table_count(struct tm_store *store, const struct tm_table_def *def, int64_t *ret, struct tm_err *err)
{
	int64_t n = 0;
	TM_TRY(tm_table_scan(store, def, NULL, 0, count_one, &n, err));
	*ret = n;
	return TM_OK;
}
