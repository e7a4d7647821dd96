/* Intervals: Spark's texts for the ANSI year-month and day-time intervals and for the calendar interval. */
#include "sql/datetime.h"
#include "sql/number.h"
#include <stdio.h>

static const char *const field_names[] = {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"};
const char *tm_interval_field_name(int field) { return field_names[field]; }

static void put_head(bool ansi, struct tm_buf *out)
{
	if (ansi)
		tm_buf_cstr_put(out, "INTERVAL '");
}
static void put_tail(bool ansi, int from, int to, struct tm_buf *out)
{
	if (!ansi)
		return;
	tm_buf_cstr_put(out, "' ");
	tm_buf_cstr_put(out, field_names[from]);
	if (from != to) {
		tm_buf_cstr_put(out, " TO ");
		tm_buf_cstr_put(out, field_names[to]);
	}
}

void tm_interval_ym_text(int32_t months, int from, int to, bool ansi, struct tm_buf *out)
{
	int64_t m = months < 0 ? -(int64_t)months : months;
	put_head(ansi, out);
	if (months < 0)
		tm_buf_char(out, '-');
	if (from == to)
		tm_i64_text(from == TM_F_YEAR ? m / 12 : m, out);
	else
		tm_buf_printf(out, "%lld-%lld", (long long)(m / 12), (long long)(m % 12));
	put_tail(ansi, from, to, out);
}

static void put_seconds(uint64_t us, bool pad, struct tm_buf *out)
{
	tm_buf_printf(out, pad ? "%02llu" : "%llu", (unsigned long long)(us / 1000000));
	uint64_t rest = us % 1000000;
	if (rest) {
		char text[8];
		snprintf(text, sizeof text, "%06llu", (unsigned long long)rest);
		size_t n = 6;
		while (text[n - 1] == '0')
			n--;
		tm_buf_char(out, '.');
		tm_buf_put(out, text, n);
	}
}

void tm_interval_dt_text(int64_t us, int from, int to, bool ansi, struct tm_buf *out)
{
	uint64_t v = us < 0 ? -(uint64_t)us : (uint64_t)us;
	const uint64_t unit[] = {0, 0, (uint64_t)TM_US_DAY, (uint64_t)TM_US_HOUR, (uint64_t)TM_US_MINUTE, (uint64_t)TM_US_SECOND};
	put_head(ansi, out);
	if (us < 0)
		tm_buf_char(out, '-');
	for (int f = from; f <= to; f++) {
		if (f > from)
			tm_buf_char(out, f == TM_F_HOUR ? ' ' : ':');
		if (f == TM_F_SECOND) {
			put_seconds(v, true, out);
		} else {
			tm_buf_printf(out,
				      f > from || (f != TM_F_DAY && from != to) ? "%02llu"
				      : f == TM_F_DAY                           ? "%llu"
										: "%02llu",
				      (unsigned long long)(v / unit[f]));
			v %= unit[f];
		}
	}
	put_tail(ansi, from, to, out);
}

void tm_interval_text(struct tm_interval v, struct tm_buf *out)
{
	size_t start = out->len;
	const struct {
		int64_t n;
		const char *unit;
	} parts[] = {{v.months / 12, "years"},
		     {v.months % 12, "months"},
		     {v.days, "days"},
		     {v.micros / TM_US_HOUR, "hours"},
		     {v.micros % TM_US_HOUR / TM_US_MINUTE, "minutes"}};
	for (size_t i = 0; i < 5; i++)
		if (parts[i].n)
			tm_buf_printf(out, "%s%lld %s", out->len > start ? " " : "", (long long)parts[i].n, parts[i].unit);
	int64_t us = v.micros % TM_US_MINUTE;
	if (us) {
		tm_buf_cstr_put(out, out->len > start ? " " : "");
		if (us < 0)
			tm_buf_char(out, '-');
		put_seconds((uint64_t)(us < 0 ? -us : us), false, out);
		tm_buf_cstr_put(out, " seconds");
	}
	if (out->len == start)
		tm_buf_cstr_put(out, "0 seconds");
}

/* ---- reading ---- */
static bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static void skip(struct tm_str *s)
{
	while (s->len && blank(s->at[0])) {
		s->at++;
		s->len--;
	}
}
static bool word(struct tm_str *s, const char *w)
{
	size_t n = strlen(w);
	if (s->len < n || !tm_str_iis(tm_str_slice(*s, 0, n), w))
		return false;
	*s = tm_str_slice(*s, n, s->len);
	return true;
}
static bool number(struct tm_str *s, int64_t *ret, int *ret_digits)
{
	int n = 0;
	int64_t v = 0;
	while (s->len && s->at[0] >= '0' && s->at[0] <= '9') {
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s->at[0] - '0', &v))
			return false;
		*s = tm_str_slice(*s, 1, s->len);
		n++;
	}
	*ret = v;
	if (ret_digits)
		*ret_digits = n;
	return n > 0;
}
static bool sign(struct tm_str *s)
{
	bool negative = s->len && s->at[0] == '-';
	if (s->len && (s->at[0] == '-' || s->at[0] == '+'))
		*s = tm_str_slice(*s, 1, s->len);
	return negative;
}

/* Takes INTERVAL '…' FROM TO off around the value; *ret_negative for a sign before the quote. */
static bool unwrap(struct tm_str *s, int from, int to, bool *ret_negative)
{
	*ret_negative = false;
	*s = tm_trim_all(*s);
	struct tm_str rest = *s;
	if (!word(&rest, "interval"))
		return true;
	skip(&rest);
	*ret_negative = sign(&rest);
	skip(&rest);
	if (!word(&rest, "'"))
		return false;
	size_t end = tm_str_find(rest, TM_STR("'"), 0);
	if (end == SIZE_MAX)
		return false;
	*s = tm_str_slice(rest, 0, end);
	rest = tm_str_slice(rest, end + 1, rest.len);
	skip(&rest);
	if (!word(&rest, field_names[from]))
		return false;
	skip(&rest);
	if (from != to) {
		if (!word(&rest, "to"))
			return false;
		skip(&rest);
		if (!word(&rest, field_names[to]))
			return false;
		skip(&rest);
	}
	return rest.len == 0;
}

bool tm_interval_ym_parse(struct tm_str s, int from, int to, int32_t *ret)
{
	bool outer, negative;
	int64_t a, b = 0;
	if (!unwrap(&s, from, to, &outer))
		return false;
	negative = sign(&s) != outer;
	if (!number(&s, &a, NULL))
		return false;
	if (from != to && (!word(&s, "-") || !number(&s, &b, NULL) || b > 11))
		return false;
	int64_t months;
	if (s.len || __builtin_mul_overflow(a, from == TM_F_YEAR ? 12 : 1, &months) || __builtin_add_overflow(months, b, &months))
		return false;
	months = negative ? -months : months;
	if (months < INT32_MIN || months > INT32_MAX)
		return false;
	*ret = (int32_t)months;
	return true;
}

bool tm_interval_dt_parse(struct tm_str s, int from, int to, int64_t *ret)
{
	bool outer, negative;
	if (!unwrap(&s, from, to, &outer))
		return false;
	negative = sign(&s) != outer;
	static const int64_t unit[] = {0, 0, TM_US_DAY, TM_US_HOUR, TM_US_MINUTE, TM_US_SECOND};
	int64_t total = 0, v; /* with its sign from the start, so that the least one fits */
	for (int f = from; f <= to; f++) {
		int digits;
		if (f > from && !word(&s, f == TM_F_HOUR ? " " : ":"))
			return false;
		if (!number(&s, &v, &digits) || (f > from && (digits > 2 || v > (f == TM_F_HOUR ? 23 : 59))))
			return false;
		int64_t us;
		if (__builtin_mul_overflow(negative ? -v : v, unit[f], &us) || __builtin_add_overflow(total, us, &total))
			return false;
		if (f == TM_F_SECOND && word(&s, ".")) {
			int64_t fraction = 0;
			int n = 0;
			for (; s.len && s.at[0] >= '0' && s.at[0] <= '9'; s = tm_str_slice(s, 1, s.len), n++)
				if (n < 6)
					fraction = fraction * 10 + (s.at[0] - '0');
			if (n > 9)
				return false;
			for (; n < 6; n++)
				fraction *= 10;
			if (__builtin_add_overflow(total, negative ? -fraction : fraction, &total))
				return false;
		}
	}
	if (s.len)
		return false;
	*ret = total;
	return true;
}

static bool add_scaled(int64_t *into, int64_t v, int64_t unit)
{
	int64_t us;
	return !__builtin_mul_overflow(v, unit, &us) && !__builtin_add_overflow(*into, us, into);
}

static bool add_unit(struct tm_str unit, int64_t v, int64_t nanos, bool has_fraction, int64_t *months, int64_t *days, int64_t *micros)
{
	static const struct {
		const char *name;
		int kind;
		int64_t scale;
	} units[] = {{"year", 0, 12},
		     {"month", 0, 1},
		     {"week", 1, 7},
		     {"day", 1, 1},
		     {"hour", 2, TM_US_HOUR},
		     {"minute", 2, TM_US_MINUTE},
		     {"second", 2, TM_US_SECOND},
		     {"millisecond", 2, 1000},
		     {"microsecond", 2, 1}};
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		struct tm_str name = tm_str_of(units[i].name);
		bool plural = unit.len == name.len + 1 && (unit.at[unit.len - 1] | 32) == 's';
		if (!tm_str_ieq(tm_str_slice(unit, 0, name.len), name) || (unit.len != name.len && !plural))
			continue;
		if (has_fraction && units[i].scale != TM_US_SECOND)
			return false;
		int64_t *into = units[i].kind == 0 ? months : units[i].kind == 1 ? days : micros;
		return add_scaled(into, v, units[i].scale) && (!has_fraction || add_scaled(micros, nanos / 1000, 1));
	}
	return false;
}

bool tm_interval_parse(struct tm_str s, struct tm_interval *ret)
{
	int64_t months = 0, days = 0, micros = 0;
	s = tm_trim_all(s);
	struct tm_str rest = s;
	if (word(&rest, "interval") && rest.len && blank(rest.at[0]))
		s = rest;
	skip(&s);
	if (!s.len)
		return false;
	while (s.len) {
		bool negative = sign(&s), fraction = false;
		skip(&s);
		int64_t v = 0, nanos = 0;
		bool whole = number(&s, &v, NULL);
		if (word(&s, ".")) {
			int n = 0;
			fraction = true;
			for (; s.len && s.at[0] >= '0' && s.at[0] <= '9' && n < 9; s = tm_str_slice(s, 1, s.len), n++)
				nanos = nanos * 10 + (s.at[0] - '0');
			if (!whole && n == 0)
				return false;
			for (; n < 9; n++)
				nanos *= 10;
		} else if (!whole) {
			return false;
		}
		if (!s.len || !blank(s.at[0]))
			return false;
		skip(&s);
		size_t n = 0;
		while (n < s.len && !blank(s.at[n]))
			n++;
		if (!add_unit(tm_str_slice(s, 0, n), negative ? -v : v, negative ? -nanos : nanos, fraction, &months, &days, &micros))
			return false;
		s = tm_str_slice(s, n, s.len);
		skip(&s);
	}
	if (months < INT32_MIN || months > INT32_MAX || days < INT32_MIN || days > INT32_MAX)
		return false;
	*ret = (struct tm_interval){(int32_t)months, (int32_t)days, micros};
	return true;
}
