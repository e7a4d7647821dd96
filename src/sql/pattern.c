/* Date patterns: java.time.format.DateTimeFormatter's letters as Spark allows them, strict in parsing, English texts. */
#include "sql/datetime.h"
#include "sql/number.h"
#include <stdio.h>

enum style { ST_NORMAL, ST_NOT_NEGATIVE, ST_EXCEEDS_PAD };
enum field { F_YEAR, F_MONTH, F_DAY, F_DOY, F_QUARTER, F_HOUR, F_HOUR24, F_HOUR12, F_HOUR0_11, F_MINUTE, F_SECOND, F_ALIGNED_DAY, F_COUNT };
enum item_kind {
	I_LITERAL,
	I_NUMBER,
	I_YEAR2,
	I_FRACTION,
	I_MONTH_TEXT,
	I_QUARTER_TEXT,
	I_DAY_TEXT,
	I_AMPM,
	I_ERA,
	I_ZONE_NAME,
	I_ZONE_ID,
	I_OFFSET,
	I_OFFSET_TEXT,
	I_OPEN,
	I_CLOSE
};
struct item {
	enum item_kind kind;
	enum field field;
	enum style style;
	int min, max; /* width of numbers; fraction digits */
	int after;    /* digits that adjacent numbers behind this one need */
	int close;    /* I_OPEN: index of its I_CLOSE */
	char letter;
	int count;
	struct tm_str text; /* I_LITERAL */
};
struct tm_pattern {
	struct item *items;
	size_t count, cap;
	bool era;
};

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
				     "July",    "August",   "September", "October", "November", "December"};
static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
static const char *const quarters[] = {"1st quarter", "2nd quarter", "3rd quarter", "4th quarter"};

/* ---- compiling ---- */
/* Would the old SimpleDateFormat have taken it? Then Spark speaks of an upgrade. */
static bool old_formatter_takes(struct tm_str p)
{
	bool quoted = false;
	for (size_t i = 0; i < p.len; i++) {
		char c = p.at[i];
		if (c == '\'')
			quoted = !quoted;
		else if (!quoted && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) && !strchr("GyYMLwWDdFEuaHkKhmsSzZX", c))
			return false;
	}
	return !quoted;
}

static tm_rc illegal(struct tm_str p, struct tm_err *err, const char *klass, char letter)
{
	if (old_formatter_takes(p))
		return tm_fail_class(err, TM_INVALID, "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION", "42K0B",
				     "You may get a different result due to the upgrading to Spark >= 3.0:\nFail to recognize '%.*s' "
				     "pattern in the DateTimeFormatter.\n1) You can set "
				     "\"spark.sql.legacy.timeParserPolicy\" to \"LEGACY\" to restore the behavior before Spark 3.0.\n2) "
				     "You can form a valid datetime pattern with the "
				     "guide from 'https://spark.apache.org/docs/latest/sql-ref-datetime-pattern.html'.",
				     TM_STR_ARG(p));
	if (strcmp(klass, "WEEK") == 0)
		return tm_fail_class(err, TM_INVALID, "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_WEEK_BASED_PATTERN", "42K0B",
				     "You may get a different result due to the upgrading to Spark >= 3.0:\nAll week-based patterns are "
				     "unsupported since Spark 3.0, detected week-based "
				     "character: %c.\nPlease use the SQL function EXTRACT instead.",
				     letter);
	if (strcmp(klass, "LETTER") == 0)
		return tm_fail_class(err, TM_INVALID, "INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER", "22007",
				     "Unrecognized datetime pattern: %.*s. Illegal pattern character found in datetime pattern: %c. Please "
				     "provide legal character.",
				     TM_STR_ARG(p), letter);
	if (strcmp(klass, "LENGTH") == 0)
		return tm_fail_class(
		    err, TM_INVALID, "INVALID_DATETIME_PATTERN.LENGTH", "22007",
		    "Unrecognized datetime pattern: %.*s. Too many letters in datetime pattern: %c. Please reduce pattern length.",
		    TM_STR_ARG(p), letter);
	return tm_fail_class(err, TM_INVALID, "INVALID_DATETIME_PATTERN.WITH_SUGGESTION", "22007",
			     "Unrecognized datetime pattern: '%.*s'. You can form a valid datetime pattern with the guide from "
			     "'https://spark.apache.org/docs/latest/sql-ref-datetime-pattern.html'.",
			     TM_STR_ARG(p));
}

static struct item *add(struct tm_arena *arena, struct tm_pattern *p, enum item_kind kind)
{
	TM_PUSH_IN(arena, p, (struct item){.kind = kind, .close = -1});
	return &p->items[p->count - 1];
}

static void add_number(struct tm_arena *arena, struct tm_pattern *p, enum field f, int min, int max, enum style style)
{
	struct item *it = add(arena, p, I_NUMBER);
	it->field = f;
	it->min = min;
	it->max = max;
	it->style = style;
}

/* One number of 1 or 2 letters. */
static bool add_small(struct tm_arena *arena, struct tm_pattern *p, enum field f, int n)
{
	if (n > 2)
		return false;
	add_number(arena, p, f, n, n == 1 ? 19 : 2, n == 1 ? ST_NORMAL : ST_NOT_NEGATIVE);
	return true;
}

static bool add_letters(struct tm_arena *arena, struct tm_pattern *p, char c, int n, bool parsing, bool *io_fraction_seen)
{
	struct item *it;
	switch (c) {
	case 'y':
		if (n == 2) {
			it = add(arena, p, I_YEAR2);
			it->min = it->max = 2;
		} else {
			add_number(arena, p, F_YEAR, n, 19, n < 4 ? ST_NORMAL : ST_EXCEEDS_PAD);
		}
		return true;
	case 'M':
	case 'L':
		if (n <= 2)
			return add_small(arena, p, F_MONTH, n);
		it = add(arena, p, I_MONTH_TEXT);
		it->count = n;
		return n <= 4;
	case 'Q':
	case 'q':
		if (n <= 2)
			return add_small(arena, p, F_QUARTER, n);
		it = add(arena, p, I_QUARTER_TEXT);
		it->count = n;
		return n <= 4;
	case 'd':
		return add_small(arena, p, F_DAY, n);
	case 'D':
		add_number(arena, p, F_DOY, n, n == 1 ? 19 : 3, n == 1 ? ST_NORMAL : ST_NOT_NEGATIVE);
		return n <= 3;
	case 'F':
		add_number(arena, p, F_ALIGNED_DAY, 1, 19, ST_NORMAL);
		return n == 1;
	case 'E':
		it = add(arena, p, I_DAY_TEXT);
		it->count = n;
		return n <= 4;
	case 'G':
		it = add(arena, p, I_ERA);
		it->count = n;
		p->era = true;
		return n <= 4;
	case 'a':
		add(arena, p, I_AMPM);
		return n == 1;
	case 'h':
		return add_small(arena, p, F_HOUR12, n);
	case 'K':
		return add_small(arena, p, F_HOUR0_11, n);
	case 'k':
		return add_small(arena, p, F_HOUR24, n);
	case 'H':
		return add_small(arena, p, F_HOUR, n);
	case 'm':
		return add_small(arena, p, F_MINUTE, n);
	case 's':
		return add_small(arena, p, F_SECOND, n);
	case 'S':
		it = add(arena, p, I_FRACTION);
		it->min = parsing && !*io_fraction_seen ? 1 : n;
		it->max = n;
		*io_fraction_seen = true;
		return n <= 9;
	case 'z':
		it = add(arena, p, I_ZONE_NAME);
		it->count = n;
		return n <= 4;
	case 'V':
		add(arena, p, I_ZONE_ID);
		return n == 2;
	case 'v':
		it = add(arena, p, I_ZONE_NAME);
		it->count = n;
		return n == 1 || n == 4;
	case 'O':
		it = add(arena, p, I_OFFSET_TEXT);
		it->count = n;
		return n == 1 || n == 4;
	case 'Z':
		it = add(arena, p, n == 4 ? I_OFFSET_TEXT : I_OFFSET);
		it->letter = n == 5 ? 'X' : 'Z';
		it->count = n == 5 ? 5 : n == 4 ? 4 : 2;
		return n <= 5;
	case 'X':
	case 'x':
		it = add(arena, p, I_OFFSET);
		it->letter = c;
		it->count = n;
		return n <= 5;
	default:
		return false;
	}
}

/* Numbers that follow a number at once and have a fixed width take their digits from its end. */
static void set_adjacent(struct tm_pattern *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct item *it = &p->items[i];
		if (it->kind != I_NUMBER || it->min == it->max)
			continue;
		for (size_t j = i + 1; j < p->count; j++) {
			const struct item *next = &p->items[j];
			if ((next->kind != I_NUMBER && next->kind != I_YEAR2) || next->min != next->max)
				break;
			it->after += next->max;
		}
	}
}

tm_rc tm_pattern_new(struct tm_arena *arena, struct tm_str text, bool parsing, struct tm_pattern **ret, struct tm_err *err)
{
	struct tm_pattern *p = TM_NEW(arena, struct tm_pattern);
	struct {
		size_t *items;
		size_t count, cap;
	} open = {0};
	bool fraction = false;
	text = tm_arena_str(arena, text);
	bool quoted = false; /* the checks that come before all others */
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		quoted ^= c == '\'';
		if (quoted || c == '\'')
			continue;
		if (strchr("YWwuec", c))
			return illegal(text, err, "WEEK", c);
		if (strchr("ABnNp", c) || (parsing && strchr("EFqQ", c)))
			return illegal(text, err, "LETTER", c);
	}
	for (size_t i = 0; i < text.len;) {
		char c = text.at[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
			size_t n = 1;
			while (i + n < text.len && text.at[i + n] == c)
				n++;
			if (n > 19 || (n >= 5 && strchr("GMLEQq", c)) || (c == 'y' && n >= 11))
				return illegal(text, err, "LENGTH", c);
			if (!add_letters(arena, p, c, (int)n, parsing, &fraction))
				return illegal(text, err, "OTHER", c);
			i += n;
		} else if (c == '\'') {
			struct tm_buf b = {0};
			size_t j = i + 1;
			for (; j < text.len; j++) {
				if (text.at[j] == '\'') {
					if (j + 1 >= text.len || text.at[j + 1] != '\'')
						break;
					j++;
				}
				tm_buf_char(&b, text.at[j]);
			}
			bool closed = j < text.len;
			if (b.len == 0)
				tm_buf_char(&b, '\'');
			add(arena, p, I_LITERAL)->text = tm_arena_str(arena, tm_buf_str(&b));
			tm_buf_done(&b);
			if (!closed)
				return illegal(text, err, "OTHER", c);
			i = j + 1;
		} else if (c == '[') {
			TM_PUSH_IN(arena, &open, p->count);
			add(arena, p, I_OPEN);
			i++;
		} else if (c == ']') {
			if (open.count == 0)
				return illegal(text, err, "OTHER", c);
			p->items[open.items[--open.count]].close = (int)p->count;
			add(arena, p, I_CLOSE);
			i++;
		} else if (c == '{' || c == '}' || c == '#') {
			return illegal(text, err, "OTHER", c);
		} else {
			add(arena, p, I_LITERAL)->text = tm_str_slice(text, i, i + 1);
			i++;
		}
	}
	while (open.count) { /* an optional part that is left open ends with the pattern */
		p->items[open.items[--open.count]].close = (int)p->count;
		add(arena, p, I_CLOSE);
	}
	set_adjacent(p);
	*ret = p;
	return TM_OK;
}

/* ---- formatting ---- */
static void put_number(struct tm_buf *out, int64_t v, int width, enum style style)
{
	uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;
	char text[24];
	int n = snprintf(text, sizeof text, "%llu", (unsigned long long)m);
	if (v < 0)
		tm_buf_char(out, '-');
	else if (style == ST_EXCEEDS_PAD && n > width)
		tm_buf_char(out, '+');
	for (int i = n; i < width; i++)
		tm_buf_char(out, '0');
	tm_buf_put(out, text, (size_t)n);
}

static void put_offset(struct tm_buf *out, const struct item *it, int32_t offset)
{
	int a = offset < 0 ? -offset : offset, h = a / 3600, m = a / 60 % 60, s = a % 60;
	bool colon = it->letter != 'Z' && (it->count == 3 || it->count == 5);
	if (offset == 0 && it->letter == 'X') {
		tm_buf_char(out, 'Z');
		return;
	}
	tm_buf_printf(out, "%c%02d", offset < 0 ? '-' : '+', h);
	if (it->count > 1 || m || it->letter == 'Z')
		tm_buf_printf(out, "%s%02d", colon ? ":" : "", m);
	if (it->letter != 'Z' && it->count >= 4 && s)
		tm_buf_printf(out, "%s%02d", colon ? ":" : "", s);
}

static void put_gmt(struct tm_buf *out, int count, int32_t offset)
{
	int a = offset < 0 ? -offset : offset, h = a / 3600, m = a / 60 % 60, s = a % 60;
	tm_buf_cstr_put(out, "GMT");
	if (offset == 0)
		return;
	tm_buf_printf(out, count == 4 ? "%c%02d:%02d" : m ? "%c%d:%02d" : "%c%d", offset < 0 ? '-' : '+', h, m);
	if (s)
		tm_buf_printf(out, ":%02d", s);
}

static int64_t field_of(const struct tm_pattern *p, const struct tm_local *t, enum field f)
{
	switch (f) {
	case F_YEAR:
		return p->era && t->year <= 0 ? 1 - t->year : t->year;
	case F_MONTH:
		return t->month;
	case F_DAY:
		return t->day;
	case F_DOY:
		return t->days - tm_date_days(t->year, 1, 1) + 1;
	case F_QUARTER:
		return (t->month - 1) / 3 + 1;
	case F_HOUR:
		return t->hour;
	case F_HOUR24:
		return t->hour ? t->hour : 24;
	case F_HOUR12:
		return t->hour % 12 ? t->hour % 12 : 12;
	case F_HOUR0_11:
		return t->hour % 12;
	case F_MINUTE:
		return t->minute;
	case F_SECOND:
		return t->second;
	default:
		return (t->day - 1) % 7 + 1; /* F: the aligned day of the week in the month */
	}
}

static void format(const struct tm_pattern *p, const struct tm_sql_zone *zone, struct tm_local t, int64_t utc, int32_t offset,
		   struct tm_buf *out)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct item *it = &p->items[i];
		switch (it->kind) {
		case I_LITERAL:
			tm_buf_str_put(out, it->text);
			break;
		case I_NUMBER:
			put_number(out, field_of(p, &t, it->field), it->min, it->style);
			break;
		case I_YEAR2:
			put_number(out, tm_floor_mod(t.year, 100), 2, ST_NOT_NEGATIVE);
			break;
		case I_FRACTION: {
			char text[12];
			snprintf(text, sizeof text, "%09d", t.nanos);
			tm_buf_put(out, text, (size_t)it->max);
			break;
		}
		case I_MONTH_TEXT:
			tm_buf_put(out, months[t.month - 1], it->count == 3 ? 3 : strlen(months[t.month - 1]));
			break;
		case I_QUARTER_TEXT:
			if (it->count == 3)
				tm_buf_printf(out, "Q%d", (t.month - 1) / 3 + 1);
			else
				tm_buf_cstr_put(out, quarters[(t.month - 1) / 3]);
			break;
		case I_DAY_TEXT: {
			const char *day = days[tm_weekday(t.days)];
			tm_buf_put(out, day, it->count <= 3 ? 3 : strlen(day));
			break;
		}
		case I_AMPM:
			tm_buf_cstr_put(out, t.hour < 12 ? "AM" : "PM");
			break;
		case I_ERA:
			tm_buf_cstr_put(out, it->count == 4 ? (t.year > 0 ? "Anno Domini" : "Before Christ") : t.year > 0 ? "AD" : "BC");
			break;
		case I_ZONE_NAME:
			tm_sql_zone_name(zone, utc, it->count == 4, out);
			break;
		case I_ZONE_ID:
			tm_buf_str_put(out, tm_sql_zone_id(zone));
			break;
		case I_OFFSET:
			put_offset(out, it, offset);
			break;
		case I_OFFSET_TEXT:
			put_gmt(out, it->count, offset);
			break;
		case I_OPEN:
		case I_CLOSE:
			break;
		}
	}
}

void tm_pattern_format(const struct tm_pattern *p, const struct tm_sql_zone *zone, int64_t us, bool local, struct tm_buf *out)
{
	struct tm_local t;
	int64_t utc = tm_floor_div(us, TM_US_SECOND);
	tm_local_of(local ? us : tm_sql_zone_to_local(zone, us), &t);
	format(p, zone, t, utc, local ? 0 : tm_sql_zone_offset(zone, utc), out);
}

void tm_pattern_format_date(const struct tm_pattern *p, const struct tm_sql_zone *zone, int32_t day, struct tm_buf *out)
{
	struct tm_local t = {.days = day};
	tm_civil_of(day, &t.year, &t.month, &t.day);
	format(p, zone, t, day * (int64_t)86400, 0, out);
}

/* ---- parsing ---- */
struct parse {
	const struct tm_pattern *p;
	struct tm_str s;
	int64_t v[F_COUNT];
	bool has[F_COUNT], has_ampm, has_era, pm, bc;
	int32_t nanos;
	const struct tm_sql_zone *zone;
	size_t bad_at;
};

static bool parse_number(struct parse *x, const struct item *it, size_t *io_at)
{
	size_t at = *io_at, len = x->s.len;
	bool minus = false, plus = false;
	if (at < len && (x->s.at[at] == '-' || x->s.at[at] == '+')) {
		minus = x->s.at[at] == '-';
		plus = !minus;
		if (it->style == ST_NOT_NEGATIVE || (plus && it->style == ST_NORMAL))
			return false;
		at++;
	}
	size_t start = at, digits = 0;
	while (at + digits < len && digits < (size_t)it->max && x->s.at[at + digits] >= '0' && x->s.at[at + digits] <= '9')
		digits++;
	if (it->after > 0) {
		size_t keep = digits > (size_t)it->after ? digits - (size_t)it->after : 0;
		digits = keep > (size_t)it->min ? keep : digits < (size_t)it->min ? digits : (size_t)it->min;
	}
	if (digits < (size_t)it->min || digits == 0 || digits > 18)
		return false;
	if (it->style == ST_EXCEEDS_PAD && !minus && (plus ? digits <= (size_t)it->min : digits > (size_t)it->min))
		return false;
	int64_t v = 0;
	for (size_t i = 0; i < digits; i++)
		v = v * 10 + (x->s.at[start + i] - '0');
	if (minus && v == 0)
		return false;
	x->v[it->field] = minus ? -v : v;
	x->has[it->field] = true;
	*io_at = start + digits;
	return true;
}

static bool parse_text(struct parse *x, const char *const *names, int n, size_t cut, int *ret, size_t *io_at)
{
	int best = -1;
	size_t best_len = 0;
	for (int i = 0; i < n; i++) {
		size_t len = cut && strlen(names[i]) > cut ? cut : strlen(names[i]);
		if (*io_at + len <= x->s.len && len > best_len && tm_str_ieq(tm_str_n(x->s.at + *io_at, len), tm_str_n(names[i], len))) {
			best = i;
			best_len = len;
		}
	}
	if (best < 0)
		return false;
	*ret = best;
	*io_at += best_len;
	return true;
}

static bool parse_zone(struct parse *x, size_t *io_at)
{
	size_t end = *io_at;
	while (end < x->s.len &&
	       (x->s.at[end] == '/' || x->s.at[end] == '_' || x->s.at[end] == '+' || x->s.at[end] == '-' || x->s.at[end] == ':' ||
		(x->s.at[end] >= '0' && x->s.at[end] <= '9') || ((x->s.at[end] | 32) >= 'a' && (x->s.at[end] | 32) <= 'z')))
		end++;
	for (; end > *io_at; end--)
		if ((x->zone = tm_sql_zone_find(tm_str_slice(x->s, *io_at, end)))) {
			*io_at = end;
			return true;
		}
	return false;
}

static bool two_digits(struct parse *x, size_t at, int *ret)
{
	if (at + 2 > x->s.len || x->s.at[at] < '0' || x->s.at[at] > '9' || x->s.at[at + 1] < '0' || x->s.at[at + 1] > '9')
		return false;
	*ret = (x->s.at[at] - '0') * 10 + (x->s.at[at + 1] - '0');
	return true;
}

static bool parse_offset(struct parse *x, const struct item *it, size_t *io_at)
{
	size_t at = *io_at;
	int h = 0, m = 0, s = 0;
	bool colon = it->letter != 'Z' && (it->count == 3 || it->count == 5);
	if (at >= x->s.len)
		return false;
	if (it->letter == 'X' && (x->s.at[at] | 32) == 'z') {
		x->zone = tm_sql_zone_utc();
		*io_at = at + 1;
		return true;
	}
	char sign = x->s.at[at];
	if ((sign != '+' && sign != '-') || !two_digits(x, at + 1, &h))
		return false;
	at += 3;
	bool minutes = at + colon < x->s.len && (!colon || x->s.at[at] == ':') && two_digits(x, at + colon, &m);
	if (!minutes && it->count > 1)
		return false;
	if (minutes) {
		at += 2 + colon;
		if (it->count >= 4 && it->letter != 'Z' && at + colon < x->s.len && (!colon || x->s.at[at] == ':') &&
		    two_digits(x, at + colon, &s))
			at += 2 + colon;
	}
	char id[16];
	snprintf(id, sizeof id, "%c%02d:%02d:%02d", sign, h, m, s);
	x->zone = h == 0 && m == 0 && s == 0 ? tm_sql_zone_utc() : tm_sql_zone_find(tm_str_of(id));
	*io_at = at;
	return x->zone != NULL;
}

static bool parse_items(struct parse *x, size_t from, size_t to, size_t *io_at);

static bool parse_item(struct parse *x, const struct item *it, size_t *io_at)
{
	size_t at = *io_at;
	int n;
	switch (it->kind) {
	case I_LITERAL:
		if (at + it->text.len > x->s.len || !tm_str_ieq(tm_str_n(x->s.at + at, it->text.len), it->text))
			return false;
		*io_at = at + it->text.len;
		return true;
	case I_NUMBER:
		return parse_number(x, it, io_at);
	case I_YEAR2:
		if (!two_digits(x, at, &n))
			return false;
		x->v[F_YEAR] = 2000 + n;
		x->has[F_YEAR] = true;
		*io_at = at + 2;
		return true;
	case I_FRACTION: {
		int digits = 0, v = 0;
		for (; digits < it->max && at < x->s.len && x->s.at[at] >= '0' && x->s.at[at] <= '9'; at++, digits++)
			v = v * 10 + (x->s.at[at] - '0');
		if (digits < it->min)
			return false;
		for (; digits < 9; digits++)
			v *= 10;
		x->nanos = v;
		*io_at = at;
		return true;
	}
	case I_MONTH_TEXT:
		if (!parse_text(x, months, 12, it->count == 3 ? 3 : 0, &n, io_at))
			return false;
		x->v[F_MONTH] = n + 1;
		x->has[F_MONTH] = true;
		return true;
	case I_DAY_TEXT:
		return parse_text(x, days, 7, it->count <= 3 ? 3 : 0, &n, io_at);
	case I_QUARTER_TEXT:
		return parse_text(x, quarters, 4, 0, &n, io_at);
	case I_AMPM:
		if (!parse_text(x, (const char *const[]){"AM", "PM"}, 2, 0, &n, io_at))
			return false;
		x->pm = n;
		x->has_ampm = true;
		return true;
	case I_ERA:
		if (!parse_text(x,
				it->count == 4 ? (const char *const[]){"Before Christ", "Anno Domini"} : (const char *const[]){"BC", "AD"},
				2, 0, &n, io_at))
			return false;
		x->bc = n == 0;
		x->has_era = true;
		return true;
	case I_ZONE_NAME:
	case I_ZONE_ID:
		return parse_zone(x, io_at);
	case I_OFFSET:
		return parse_offset(x, it, io_at);
	case I_OFFSET_TEXT:
		return parse_zone(x, io_at);
	default:
		return true;
	}
}

static bool parse_items(struct parse *x, size_t from, size_t to, size_t *io_at)
{
	for (size_t i = from; i < to; i++) {
		const struct item *it = &x->p->items[i];
		if (it->kind == I_OPEN) {
			struct parse before = *x;
			size_t at = *io_at;
			if (!parse_items(x, i + 1, (size_t)it->close, &at))
				*x = before;
			else
				*io_at = at;
			i = (size_t)it->close;
			continue;
		}
		if (!parse_item(x, it, io_at)) {
			x->bad_at = *io_at;
			return false;
		}
	}
	return true;
}

static bool in_range(struct parse *x, enum field f, int64_t lo, int64_t hi, const char *name, struct tm_buf *why)
{
	if (!x->has[f] || (x->v[f] >= lo && x->v[f] <= hi))
		return true;
	if (why)
		tm_buf_printf(why, ": Invalid value for %s (valid values %lld - %lld): %lld", name, (long long)lo, (long long)hi,
			      (long long)x->v[f]);
	return false;
}

static bool resolve(struct parse *x, int64_t *ret_local_us, struct tm_buf *why)
{
	if (!in_range(x, F_YEAR, -999999999, 999999999, "YearOfEra", why) || !in_range(x, F_MONTH, 1, 12, "MonthOfYear", why) ||
	    !in_range(x, F_DAY, 1, 31, "DayOfMonth", why) || !in_range(x, F_DOY, 1, 366, "DayOfYear", why) ||
	    !in_range(x, F_HOUR, 0, 23, "HourOfDay", why) || !in_range(x, F_HOUR24, 1, 24, "ClockHourOfDay", why) ||
	    !in_range(x, F_HOUR12, 1, 12, "ClockHourOfAmPm", why) || !in_range(x, F_HOUR0_11, 0, 11, "HourOfAmPm", why) ||
	    !in_range(x, F_MINUTE, 0, 59, "MinuteOfHour", why) || !in_range(x, F_SECOND, 0, 59, "SecondOfMinute", why))
		return false;
	int64_t year = x->has[F_YEAR] ? x->v[F_YEAR] : 1970, day;
	if (x->has_era && x->bc)
		year = 1 - year;
	if (x->has[F_DOY] && !(x->has[F_MONTH] && x->has[F_DAY])) {
		if (x->v[F_DOY] == 366 && !tm_leap_year(year)) {
			if (why)
				tm_buf_printf(why, ": Invalid date 'DayOfYear 366' as '%lld' is not a leap year", (long long)year);
			return false;
		}
		day = tm_date_days(year, 1, 1) + x->v[F_DOY] - 1;
	} else {
		int m = x->has[F_MONTH] ? (int)x->v[F_MONTH] : 1, d = x->has[F_DAY] ? (int)x->v[F_DAY] : 1;
		if (d > tm_date_month_days(year, m)) {
			if (why && m == 2 && d == 29)
				tm_buf_printf(why, ": Invalid date 'February 29' as '%lld' is not a leap year", (long long)year);
			else if (why) {
				char upper[16];
				size_t n = 0;
				for (; months[m - 1][n]; n++)
					upper[n] = (char)(months[m - 1][n] & ~32);
				upper[n] = 0;
				tm_buf_printf(why, ": Invalid date '%s %d'", upper, d);
			}
			return false;
		}
		day = tm_date_days(year, m, d);
	}
	int64_t hour = x->has[F_HOUR] ? x->v[F_HOUR] : x->has[F_HOUR24] ? x->v[F_HOUR24] % 24 : 0;
	if (x->has[F_HOUR12] || x->has[F_HOUR0_11])
		hour = (x->has[F_HOUR12] ? x->v[F_HOUR12] % 12 : x->v[F_HOUR0_11]) + (x->pm ? 12 : 0);
	return tm_micros_of(day,
			    hour * TM_US_HOUR + (x->has[F_MINUTE] ? x->v[F_MINUTE] : 0) * TM_US_MINUTE +
				(x->has[F_SECOND] ? x->v[F_SECOND] : 0) * TM_US_SECOND + x->nanos / 1000,
			    ret_local_us);
}

bool tm_pattern_parse(const struct tm_pattern *p, struct tm_str s, int64_t *ret_local_us, const struct tm_sql_zone **ret_zone,
		      struct tm_buf *why)
{
	struct parse x = {.p = p, .s = s};
	size_t at = 0;
	if (!parse_items(&x, 0, p->count, &at)) {
		if (why)
			tm_buf_printf(why, " at index %zu", x.bad_at);
		return false;
	}
	if (at < s.len) {
		if (why)
			tm_buf_printf(why, ", unparsed text found at index %zu", at);
		return false;
	}
	if (!resolve(&x, ret_local_us, why))
		return false;
	*ret_zone = x.zone;
	return true;
}
