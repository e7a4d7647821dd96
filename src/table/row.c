/* Codec, merge and purge of row values. Layout: format, flags, [marker], [deletion], [ranges], cells by column and path. */
#include "table/row.h"
#include <stdlib.h>

enum { HAS_MARKER = 1, HAS_DELETION = 2, HAS_RANGES = 4, MARKER_EXPIRES = 8 };

static struct tm_str take_str(struct tm_cursor *c)
{
	uint64_t n = tm_cursor_varint(c, 64);
	return tm_cursor_take(c, n);
}

static void put_str(struct tm_buf *b, struct tm_str s)
{
	tm_buf_varint(b, s.len);
	tm_buf_str_put(b, s);
}

static void take_range(struct tm_cursor *c, struct tm_range_tombstone *r)
{
	r->start = take_str(c);
	r->end = take_str(c);
	r->timestamp_us = (int64_t)tm_cursor_le64(c);
	r->at_s = tm_cursor_zigzag(c, 64);
}

bool tm_row_open(struct tm_str bytes, struct tm_row_reader *ret)
{
	struct tm_row_reader r = {.c = tm_cursor_of(bytes)};
	struct tm_cursor *c = &r.c;
	if (tm_cursor_u8(c) != TM_ROW_FORMAT)
		return false;
	uint8_t flags = tm_cursor_u8(c);
	if (flags & HAS_MARKER) {
		r.info.has_marker = true;
		r.info.marker_us = (int64_t)tm_cursor_le64(c);
		if (flags & MARKER_EXPIRES) {
			r.info.marker_ttl_s = (int32_t)tm_cursor_varint(c, 32);
			r.info.marker_expiry_s = tm_cursor_zigzag(c, 64);
		}
	}
	if (flags & HAS_DELETION) {
		r.info.has_deletion = true;
		r.info.deletion_us = (int64_t)tm_cursor_le64(c);
		r.info.deletion_at_s = tm_cursor_zigzag(c, 64);
	}
	if (flags & HAS_RANGES) {
		uint64_t n = tm_cursor_varint(c, 32);
		r.ranges.at = c->at;
		for (uint64_t i = 0; i < n && !c->bad; i++) {
			struct tm_range_tombstone t;
			take_range(c, &t);
		}
		r.ranges.end = c->at;
		r.info.range_count = n;
	}
	if (c->bad)
		return false;
	*ret = r;
	return true;
}

bool tm_row_next_range(struct tm_row_reader *r, struct tm_range_tombstone *ret)
{
	if (r->ranges.bad || r->ranges.at == r->ranges.end)
		return false;
	take_range(&r->ranges, ret);
	return !r->ranges.bad;
}

int tm_row_next(struct tm_row_reader *r, struct tm_cell *cell)
{
	struct tm_cursor *c = &r->c;
	if (c->at == c->end)
		return c->bad ? -1 : 0;
	*cell = (struct tm_cell){.column = (uint32_t)tm_cursor_varint(c, 32)};
	cell->flags = tm_cursor_u8(c);
	cell->timestamp_us = (int64_t)tm_cursor_le64(c);
	if (cell->flags & TM_CELL_EXPIRING)
		cell->ttl_s = (int32_t)tm_cursor_varint(c, 32);
	if (cell->flags & (TM_CELL_EXPIRING | TM_CELL_DEAD | TM_CELL_CLEARED))
		cell->at_s = tm_cursor_zigzag(c, 64);
	if (cell->flags & TM_CELL_PATH)
		cell->path = take_str(c);
	if (!(cell->flags & (TM_CELL_DEAD | TM_CELL_CLEARED)))
		cell->value = take_str(c);
	return c->bad ? -1 : 1;
}

static void put_head(struct tm_buf *out, const struct tm_row_info *i)
{
	tm_buf_u8(out, TM_ROW_FORMAT);
	tm_buf_u8(out, (uint8_t)((i->has_marker ? HAS_MARKER | (i->marker_ttl_s ? MARKER_EXPIRES : 0) : 0) |
				 (i->has_deletion ? HAS_DELETION : 0) | (i->range_count ? HAS_RANGES : 0)));
	if (i->has_marker) {
		tm_buf_le64(out, (uint64_t)i->marker_us);
		if (i->marker_ttl_s) {
			tm_buf_varint(out, (uint32_t)i->marker_ttl_s);
			tm_buf_zigzag(out, i->marker_expiry_s);
		}
	}
	if (i->has_deletion) {
		tm_buf_le64(out, (uint64_t)i->deletion_us);
		tm_buf_zigzag(out, i->deletion_at_s);
	}
	if (i->range_count)
		tm_buf_varint(out, i->range_count);
}

static void put_range(struct tm_buf *out, const struct tm_range_tombstone *t)
{
	put_str(out, t->start);
	put_str(out, t->end);
	tm_buf_le64(out, (uint64_t)t->timestamp_us);
	tm_buf_zigzag(out, t->at_s);
}

static void put_cell(struct tm_buf *out, const struct tm_cell *cell)
{
	tm_buf_varint(out, cell->column);
	tm_buf_u8(out, cell->flags);
	tm_buf_le64(out, (uint64_t)cell->timestamp_us);
	if (cell->flags & TM_CELL_EXPIRING)
		tm_buf_varint(out, (uint32_t)cell->ttl_s);
	if (cell->flags & (TM_CELL_EXPIRING | TM_CELL_DEAD | TM_CELL_CLEARED))
		tm_buf_zigzag(out, cell->at_s);
	if (cell->flags & TM_CELL_PATH)
		put_str(out, cell->path);
	if (!(cell->flags & (TM_CELL_DEAD | TM_CELL_CLEARED)))
		put_str(out, cell->value);
}

void tm_row_put(struct tm_buf *out, const struct tm_row_info *info, const struct tm_range_tombstone *ranges, const struct tm_cell *cells,
		size_t cell_count)
{
	put_head(out, info);
	for (size_t i = 0; i < info->range_count; i++)
		put_range(out, &ranges[i]);
	for (size_t i = 0; i < cell_count; i++)
		put_cell(out, &cells[i]);
}

static int cell_cmp(const struct tm_cell *a, const struct tm_cell *b)
{
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	bool pa = a->flags & TM_CELL_PATH, pb = b->flags & TM_CELL_PATH;
	if (pa != pb)
		return pa ? 1 : -1;
	return tm_str_cmp(a->path, b->path);
}

void tm_cell_sort(struct tm_cell *cells, size_t count)
{
	/* Stable: of two writes to one place in a statement the later stays behind the earlier. Mostly in order already. */
	for (size_t i = 1; i < count; i++) {
		if (cell_cmp(&cells[i - 1], &cells[i]) <= 0)
			continue;
		struct tm_cell c = cells[i];
		size_t low = 0, high = i;
		while (low < high) {
			size_t mid = (low + high) / 2;
			if (cell_cmp(&cells[mid], &c) <= 0)
				low = mid + 1;
			else
				high = mid;
		}
		memmove(&cells[low + 1], &cells[low], (i - low) * sizeof c);
		cells[low] = c;
	}
}

/* The winner of two cells of one place; older was written first. */
static struct tm_cell reconcile(const struct tm_cell *older, const struct tm_cell *newer)
{
	if (newer->flags & TM_CELL_COUNTER) {
		struct tm_cell r = *newer;
		if (newer->flags & TM_CELL_RESET)
			return r;
		if (!(older->flags & TM_CELL_COUNTER)) { /* a counter begins anew behind its tombstone */
			r.flags |= TM_CELL_RESET;
			return r;
		}
		r.flags |= older->flags & TM_CELL_RESET;
		return r; /* the sum is made by the caller, who has room for it */
	}
	if (older->flags & TM_CELL_COUNTER)
		return *newer;
	if (older->timestamp_us != newer->timestamp_us)
		return older->timestamp_us > newer->timestamp_us ? *older : *newer;
	const uint8_t mortal = TM_CELL_DEAD | TM_CELL_CLEARED | TM_CELL_EXPIRING, dead = TM_CELL_DEAD | TM_CELL_CLEARED;
	if (!(older->flags & mortal) != !(newer->flags & mortal))
		return older->flags & mortal ? *older : *newer;
	if (!(older->flags & dead) != !(newer->flags & dead))
		return older->flags & dead ? *older : *newer;
	if (older->flags & mortal && older->at_s != newer->at_s)
		return older->at_s > newer->at_s ? *older : *newer;
	return tm_str_cmp(older->value, newer->value) > 0 ? *older : *newer;
}

static int64_t counter_value(struct tm_str v)
{
	uint64_t n = 0;
	if (v.len == 8)
		memcpy(&n, v.at, 8);
	return (int64_t)__builtin_bswap64(n);
}

static void merge_info(struct tm_row_info *a, const struct tm_row_info *b)
{
	if (b->has_deletion && (!a->has_deletion || b->deletion_us > a->deletion_us ||
				(b->deletion_us == a->deletion_us && b->deletion_at_s > a->deletion_at_s))) {
		a->has_deletion = true;
		a->deletion_us = b->deletion_us;
		a->deletion_at_s = b->deletion_at_s;
	}
	bool take = b->has_marker && (!a->has_marker || b->marker_us > a->marker_us);
	if (b->has_marker && a->has_marker && b->marker_us == a->marker_us) {
		bool ea = a->marker_ttl_s, eb = b->marker_ttl_s;
		take = ea != eb ? eb : eb && b->marker_expiry_s > a->marker_expiry_s;
	}
	if (take) {
		a->has_marker = true;
		a->marker_us = b->marker_us;
		a->marker_ttl_s = b->marker_ttl_s;
		a->marker_expiry_s = b->marker_expiry_s;
	}
	if (a->has_deletion && a->has_marker && a->marker_us <= a->deletion_us)
		a->has_marker = false;
}

/* Range tombstones of both, without those a whole-partition deletion or an equal younger one covers. */
static size_t merge_ranges(struct tm_row_reader *a, struct tm_row_reader *b, const struct tm_row_info *info, struct tm_range_tombstone *out)
{
	size_t n = 0;
	struct tm_range_tombstone t;
	for (int side = 0; side < 2; side++)
		while (tm_row_next_range(side ? b : a, &t)) {
			if (info->has_deletion && t.timestamp_us <= info->deletion_us)
				continue;
			size_t i = 0;
			while (i < n && !(tm_str_eq(out[i].start, t.start) && tm_str_eq(out[i].end, t.end)))
				i++;
			if (i == n)
				out[n++] = t;
			else if (t.timestamp_us > out[i].timestamp_us)
				out[i] = t;
		}
	return n;
}

bool tm_row_merge(struct tm_str older, struct tm_str newer, struct tm_buf *out)
{
	struct tm_row_reader a, b;
	if (!tm_row_open(older, &a) || !tm_row_open(newer, &b))
		return false;
	struct tm_row_info info = a.info;
	merge_info(&info, &b.info);
	info.range_count = 0;
	if (a.info.range_count || b.info.range_count) {
		struct tm_range_tombstone *ranges = tm_alloc((a.info.range_count + b.info.range_count) * sizeof *ranges);
		info.range_count = merge_ranges(&a, &b, &info, ranges);
		put_head(out, &info);
		for (size_t i = 0; i < info.range_count; i++)
			put_range(out, &ranges[i]);
		free(ranges);
	} else {
		put_head(out, &info);
	}
	struct tm_cell x, y, cell;
	int more_x = tm_row_next(&a, &x), more_y = tm_row_next(&b, &y);
	bool cleared = false;
	uint32_t cleared_column = 0;
	int64_t cleared_us = 0;
	while (more_x > 0 || more_y > 0) {
		int c = more_x <= 0 ? 1 : more_y <= 0 ? -1 : cell_cmp(&x, &y);
		uint64_t sum;
		cell = c < 0 ? x : c > 0 ? y : reconcile(&x, &y);
		if (c == 0 && cell.flags & TM_CELL_COUNTER && x.flags & TM_CELL_COUNTER && !(y.flags & TM_CELL_RESET)) {
			sum = __builtin_bswap64((uint64_t)counter_value(x.value) + (uint64_t)counter_value(y.value));
			cell.value = (struct tm_str){(char *)&sum, 8};
		}
		bool hidden = info.has_deletion && cell.timestamp_us <= info.deletion_us;
		if (cell.flags & TM_CELL_CLEARED) {
			cleared = true;
			cleared_column = cell.column;
			cleared_us = cell.timestamp_us;
		} else if (cleared && cell.column == cleared_column && cell.timestamp_us <= cleared_us) {
			hidden = true;
		}
		if (!hidden)
			put_cell(out, &cell);
		if (c <= 0)
			more_x = tm_row_next(&a, &x);
		if (c >= 0)
			more_y = tm_row_next(&b, &y);
	}
	return more_x == 0 && more_y == 0;
}

int tm_row_purge(struct tm_str bytes, bool is_head, int64_t before_s, struct tm_buf *out)
{
	struct tm_row_reader r;
	if (!tm_row_open(bytes, &r))
		return -1;
	struct tm_row_info info = r.info;
	bool changed = false, left = false;
	if (info.has_deletion && !is_head && info.deletion_at_s < before_s) {
		info.has_deletion = false;
		changed = true;
	}
	if (info.has_marker && info.marker_ttl_s && info.marker_expiry_s < before_s) {
		info.has_marker = false;
		changed = true;
	}
	left = info.has_deletion || info.has_marker || info.range_count;
	put_head(out, &info);
	struct tm_range_tombstone t;
	while (tm_row_next_range(&r, &t))
		put_range(out, &t);
	struct tm_cell cell;
	int more;
	while ((more = tm_row_next(&r, &cell)) > 0) {
		if (cell.flags & (TM_CELL_DEAD | TM_CELL_CLEARED | TM_CELL_EXPIRING) && cell.at_s < before_s) {
			changed = true;
			continue;
		}
		left = true;
		put_cell(out, &cell);
	}
	return more < 0 ? -1 : !left ? 2 : changed;
}
