/* Texts to values. Error texts are Cassandra's, since drivers' users search for them. */
#include "cql/literal.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include "table/bignum.h"
#include "table/value.h"

struct tm_str cql_be32(struct tm_arena *arena, int32_t v)
{
	uint32_t be = __builtin_bswap32((uint32_t)v);
	return tm_arena_str(arena, tm_str_n((char *)&be, 4));
}

struct tm_str cql_be64(struct tm_arena *arena, int64_t v)
{
	uint64_t be = __builtin_bswap64((uint64_t)v);
	return tm_arena_str(arena, tm_str_n((char *)&be, 8));
}

struct tm_str cql_double_bytes(struct tm_arena *arena, double v)
{
	int64_t bits;
	memcpy(&bits, &v, 8);
	if (isnan(v))
		bits = 0x7FF8000000000000;
	return cql_be64(arena, bits);
}

struct tm_str cql_float_bytes(struct tm_arena *arena, float v)
{
	int32_t bits;
	memcpy(&bits, &v, 4);
	if (isnan(v))
		bits = 0x7FC00000;
	return cql_be32(arena, bits);
}

int64_t cql_int_of(struct tm_str b)
{
	uint64_t v = b.len && (b.at[0] & 0x80) ? ~0ull : 0;
	for (size_t i = 0; i < b.len && i < 8; i++)
		v = v << 8 | (uint8_t)b.at[i];
	return (int64_t)v;
}

double cql_double_of(struct tm_str b)
{
	if (b.len == 4) {
		uint32_t bits = (uint32_t)cql_int_of(b);
		float f;
		memcpy(&f, &bits, 4);
		return (double)f;
	}
	uint64_t bits = b.len == 8 ? (uint64_t)cql_int_of(b) : 0;
	double d;
	memcpy(&d, &bits, 8);
	return d;
}

/* ---- dates ---- */
/* Reads from min to max digits; -1 when there are fewer. */
static int64_t take_digits(struct tm_str *s, size_t min, size_t max)
{
	int64_t v = 0;
	size_t n = 0;
	while (n < max && n < s->len && isdigit((unsigned char)s->at[n]))
		v = v * 10 + (s->at[n++] - '0');
	if (n < min)
		return -1;
	*s = tm_str_slice(*s, n, s->len);
	return v;
}

static bool take_char(struct tm_str *s, char c)
{
	if (!s->len || s->at[0] != c)
		return false;
	*s = tm_str_slice(*s, 1, s->len);
	return true;
}

/* [+-]yyyy-m-d */
static bool take_date(struct tm_str *s, int64_t *ret_days)
{
	bool negative = take_char(s, '-');
	if (!negative)
		(void)take_char(s, '+');
	int64_t y = take_digits(s, 1, 9);
	if (y < 0 || !take_char(s, '-'))
		return false;
	int64_t m = take_digits(s, 1, 2);
	if (m < 1 || m > 12 || !take_char(s, '-'))
		return false;
	int64_t d = take_digits(s, 1, 2);
	y = negative ? -y : y;
	if (d < 1 || d > tm_date_month_days(y, (int)m))
		return false;
	*ret_days = tm_date_days(y, (int)m, (int)d);
	return true;
}

static tm_rc date_from_string(struct tm_arena *arena, struct tm_str text, struct tm_str *ret, struct tm_err *err)
{
	int64_t days;
	bool digits = text.len > 0;
	for (size_t i = text.len && text.at[0] == '-'; i < text.len; i++)
		digits &= isdigit((unsigned char)text.at[i]) != 0;
	if (digits) {
		if (!tm_str_to_i64(text, &days) || days < 0 || days > UINT32_MAX)
			return tm_fail(err, TM_INVALID, "Unable to make unsigned int (for date) from: '%.*s'", TM_STR_ARG(text));
		*ret = cql_be32(arena, (int32_t)(uint32_t)days);
		return TM_OK;
	}
	struct tm_str s = text;
	if (!take_date(&s, &days) || s.len || days < INT32_MIN || days >= INT32_MAX) /* Cassandra refuses the last day */
		return tm_fail(err, TM_INVALID, "Unable to coerce '%.*s' to a formatted date (long)", TM_STR_ARG(text));
	*ret = cql_be32(arena, (int32_t)((uint32_t)days ^ 0x80000000u));
	return TM_OK;
}

static tm_rc time_from_string(struct tm_arena *arena, struct tm_str text, struct tm_str *ret, struct tm_err *err)
{
	int64_t v;
	if (tm_str_to_i64(text, &v)) {
		if (v < 0 || v >= 86400000000000)
			return tm_fail(err, TM_INVALID, "Unable to make long (for time) from: '%.*s'", TM_STR_ARG(text));
		*ret = cql_be64(arena, v);
		return TM_OK;
	}
	struct tm_str s = text;
	int64_t h = take_digits(&s, 1, 2), m = -1, sec = -1, nanos = 0;
	if (h >= 0 && take_char(&s, ':'))
		m = take_digits(&s, 1, 2);
	if (m >= 0 && take_char(&s, ':'))
		sec = take_digits(&s, 1, 2);
	if (sec >= 0 && take_char(&s, '.')) {
		size_t before = s.len;
		nanos = take_digits(&s, 1, 9);
		for (size_t n = before - s.len; nanos >= 0 && n < 9; n++)
			nanos *= 10;
	}
	if (h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 59 || nanos < 0 || s.len)
		return tm_fail(err, TM_INVALID, "(TimeType) Unable to coerce '%.*s' to a formatted time (long)", TM_STR_ARG(text));
	*ret = cql_be64(arena, ((h * 60 + m) * 60 + sec) * 1000000000 + nanos);
	return TM_OK;
}

/* Z, UTC, GMT, +hh, +hhmm, +hh:mm: minutes east. */
static bool take_zone(struct tm_str *s, int64_t *ret_minutes)
{
	*ret_minutes = 0;
	if (s->len && s->at[0] == ' ')
		*s = tm_str_slice(*s, 1, s->len);
	if (s->len == 0)
		return true;
	if (tm_str_iis(*s, "z") || tm_str_iis(*s, "utc") || tm_str_iis(*s, "gmt")) {
		*s = (struct tm_str){0};
		return true;
	}
	bool west = s->at[0] == '-';
	if (!west && s->at[0] != '+')
		return false;
	*s = tm_str_slice(*s, 1, s->len);
	int64_t h = take_digits(s, 2, 2), m = 0;
	if (h < 0 || h > 23)
		return false;
	(void)take_char(s, ':');
	if (s->len)
		m = take_digits(s, 2, 2);
	if (m < 0 || m > 59)
		return false;
	*ret_minutes = west ? -(h * 60 + m) : h * 60 + m;
	return true;
}

static bool parse_timestamp(struct tm_str s, int64_t *ret_ms)
{
	int64_t days, h = 0, m = 0, sec = 0, ms = 0, zone;
	if (!take_date(&s, &days))
		return false;
	if (s.len && (s.at[0] == 'T' || (s.at[0] == ' ' && s.len > 1 && isdigit((unsigned char)s.at[1])))) {
		s = tm_str_slice(s, 1, s.len);
		h = take_digits(&s, 1, 2);
		if (h < 0 || h > 23 || !take_char(&s, ':'))
			return false;
		m = take_digits(&s, 1, 2);
		if (m < 0 || m > 59)
			return false;
		if (take_char(&s, ':')) {
			sec = take_digits(&s, 1, 2);
			if (sec < 0 || sec > 59)
				return false;
			if (take_char(&s, '.')) {
				size_t before = s.len;
				ms = take_digits(&s, 1, 9);
				if (ms < 0)
					return false;
				size_t n = before - s.len;
				for (; n < 3; n++)
					ms *= 10;
				for (; n > 3; n--)
					ms /= 10;
			}
		}
	}
	if (!take_zone(&s, &zone) || s.len)
		return false;
	*ret_ms = (((days * 24 + h) * 60 + m - zone) * 60 + sec) * 1000 + ms;
	return true;
}

static tm_rc timestamp_from_string(struct tm_arena *arena, struct tm_str text, struct tm_str *ret, struct tm_err *err)
{
	int64_t ms;
	if (tm_str_iis(text, "now"))
		ms = tm_now_us(tm_env_real()) / 1000;
	else if (!tm_str_to_i64(text, &ms) && !parse_timestamp(text, &ms)) {
		bool digits = text.len > 0;
		for (size_t i = text.at && text.len && text.at[0] == '-'; i < text.len; i++)
			digits &= isdigit((unsigned char)text.at[i]) != 0;
		return digits ? tm_fail(err, TM_INVALID, "Unable to make long (for date) from: '%.*s'", TM_STR_ARG(text))
			      : tm_fail(err, TM_INVALID, "Unable to coerce '%.*s' to a formatted date (long)", TM_STR_ARG(text));
	}
	*ret = cql_be64(arena, ms);
	return TM_OK;
}

/* ---- durations ---- */
bool cql_duration_of(struct tm_str bytes, struct cql_duration *ret)
{
	struct tm_cursor c = tm_cursor_of(bytes);
	uint64_t m, d, n;
	if (!tm_value_vint_take(&c, &m) || !tm_value_vint_take(&c, &d) || !tm_value_vint_take(&c, &n))
		return false;
	*ret = (struct cql_duration){(int32_t)tm_value_zigzag(m), (int32_t)tm_value_zigzag(d), tm_value_zigzag(n)};
	return true;
}

struct tm_str cql_duration_bytes(struct tm_arena *arena, struct cql_duration d)
{
	struct tm_buf b = {0};
	const int64_t parts[] = {d.months, d.days, d.nanos};
	for (int i = 0; i < 3; i++)
		tm_value_vint_put(&b, ((uint64_t)parts[i] << 1) ^ (uint64_t)(parts[i] >> 63));
	struct tm_str r = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return r;
}

enum unit { YEARS, MONTHS, WEEKS, DAYS, HOURS, MINUTES, SECONDS, MILLIS, MICROS, NANOS };
static const char *const unit_names[] = {"years",   "months",  "weeks",        "days",         "hours",
					 "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"};
static const int64_t unit_size[] = {12, 1, 7, 1, 3600000000000, 60000000000, 1000000000, 1000000, 1000, 1};

static tm_rc add_unit(int64_t sums[3], int *last, enum unit unit, struct tm_str number, struct tm_err *err)
{
	int64_t n;
	int which = unit <= MONTHS ? 0 : unit <= DAYS ? 1 : 2;
	static const char *const kinds[] = {"months", "days", "nanoseconds"};
	if ((int)unit == *last)
		return tm_fail(err, TM_INVALID, "Invalid duration. The %s are specified multiple times", unit_names[unit]);
	if ((int)unit < *last)
		return tm_fail(err, TM_INVALID, "Invalid duration. The %s should be after %s", unit_names[*last], unit_names[unit]);
	*last = (int)unit;
	if (!tm_str_to_i64(number, &n)) {
		tm_fail(err, TM_INTERNAL, "java.lang.NumberFormatException: For input string: \"%.*s\"", TM_STR_ARG(number));
		return TM_INTERNAL;
	}
	if (__builtin_mul_overflow(n, unit_size[unit], &n) || __builtin_add_overflow(sums[which], n, &sums[which]) ||
	    (which < 2 && sums[which] > INT32_MAX))
		return tm_fail(err, TM_INVALID, "Invalid duration. The total number of %s must be less or equal to 2147483647",
			       kinds[which]);
	return TM_OK;
}

static tm_rc bad_duration(struct tm_str text, struct tm_err *err)
{
	return tm_fail(err, TM_INVALID, "Unable to convert '%.*s' to a duration", TM_STR_ARG(text));
}

static bool unit_of(struct tm_str *s, bool iso, bool time, enum unit *ret)
{
	static const struct {
		const char *text;
		enum unit unit;
	} units[] = {
	    {"mo", MONTHS}, {"ms", MILLIS}, {"us", MICROS}, {"\xC2\xB5s", MICROS}, {"ns", NANOS},  {"y", YEARS},
	    {"w", WEEKS},   {"d", DAYS},    {"h", HOURS},   {"m", MINUTES},        {"s", SECONDS},
	};
	if (iso) {
		const char *letters = time ? "HMS" : "YMWD";
		static const enum unit date_units[] = {YEARS, MONTHS, WEEKS, DAYS}, time_units[] = {HOURS, MINUTES, SECONDS};
		const char *hit = s->len ? strchr(letters, toupper((unsigned char)s->at[0])) : NULL;
		if (!hit || !*hit)
			return false;
		*ret = (time ? time_units : date_units)[hit - letters];
		*s = tm_str_slice(*s, 1, s->len);
		return true;
	}
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t n = strlen(units[i].text);
		if (s->len >= n && tm_str_iis(tm_str_slice(*s, 0, n), units[i].text)) {
			*ret = units[i].unit;
			*s = tm_str_slice(*s, n, s->len);
			return true;
		}
	}
	return false;
}

/* P0001-02-03T04:05:06 */
static bool alternative_duration(struct tm_str s, struct cql_duration *ret)
{
	int64_t v[6];
	static const char ends[] = "--T::";
	for (int i = 0; i < 6; i++) {
		v[i] = take_digits(&s, i ? 2 : 4, i ? 2 : 4);
		if (v[i] < 0 || (i < 5 && !take_char(&s, ends[i])))
			return false;
	}
	*ret = (struct cql_duration){(int32_t)(v[0] * 12 + v[1]), (int32_t)v[2], ((v[3] * 60 + v[4]) * 60 + v[5]) * 1000000000};
	return s.len == 0;
}

static tm_rc duration_from_string(struct tm_arena *arena, struct tm_str text, struct tm_str *ret, struct tm_err *err)
{
	struct tm_str s = text;
	bool negative = take_char(&s, '-'), iso = s.len && toupper((unsigned char)s.at[0]) == 'P', time = false;
	int64_t sums[3] = {0};
	int last = -1, parts = 0;
	struct cql_duration d = {0};
	if (iso)
		s = tm_str_slice(s, 1, s.len);
	if (iso && alternative_duration(s, &d)) {
		parts = 1;
	} else {
		for (; s.len; parts++) {
			if (iso && !time && toupper((unsigned char)s.at[0]) == 'T') {
				time = true;
				s = tm_str_slice(s, 1, s.len);
			}
			size_t n = 0;
			enum unit unit;
			while (n < s.len && isdigit((unsigned char)s.at[n]))
				n++;
			struct tm_str number = tm_str_slice(s, 0, n);
			s = tm_str_slice(s, n, s.len);
			if (n == 0 || !unit_of(&s, iso, time, &unit))
				return bad_duration(text, err);
			TM_TRY(add_unit(sums, &last, unit, number, err));
		}
		d = (struct cql_duration){(int32_t)sums[0], (int32_t)sums[1], sums[2]};
	}
	if (!parts)
		return bad_duration(text, err);
	if (negative)
		d = (struct cql_duration){-d.months, -d.days, -d.nanos};
	*ret = cql_duration_bytes(arena, d);
	return TM_OK;
}

/* ---- numbers, uuids, addresses, blobs ---- */
static tm_rc integer_from_string(struct tm_arena *arena, enum tm_cql_kind kind, struct tm_str text, struct tm_str *ret, struct tm_err *err)
{
	int64_t v, limit = kind == TM_CQL_TINYINT    ? INT8_MAX
			   : kind == TM_CQL_SMALLINT ? INT16_MAX
			   : kind == TM_CQL_INT      ? INT32_MAX
						     : INT64_MAX;
	const char *name = kind == TM_CQL_TINYINT ? "byte" : kind == TM_CQL_SMALLINT ? "short" : kind == TM_CQL_INT ? "int" : "long";
	if (!tm_str_to_i64(text, &v) || v > limit || v < -limit - 1)
		return tm_fail(err, TM_INVALID, "Unable to make %s from '%.*s'", name, TM_STR_ARG(text));
	struct tm_str whole = cql_be64(arena, v);
	size_t n = kind == TM_CQL_TINYINT ? 1 : kind == TM_CQL_SMALLINT ? 2 : kind == TM_CQL_INT ? 4 : 8;
	*ret = tm_str_slice(whole, 8 - n, 8);
	return TM_OK;
}

static bool parse_java_double(struct tm_str text, double *ret)
{
	text = tm_str_trim(text);
	struct tm_str s = text;
	bool negative = false;
	if (s.len && (s.at[0] == '-' || s.at[0] == '+')) {
		negative = s.at[0] == '-';
		s = tm_str_slice(s, 1, s.len);
	}
	if (tm_str_iis(s, "nan")) {
		*ret = NAN;
		return true;
	}
	if (tm_str_iis(s, "infinity")) {
		*ret = negative ? -INFINITY : INFINITY;
		return true;
	}
	char buf[400];
	if (s.len == 0 || text.len >= sizeof buf)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit((unsigned char)s.at[i]) && !strchr(".eE+-", s.at[i]))
			return false;
	memcpy(buf, text.at, text.len);
	buf[text.len] = 0;
	char *end;
	*ret = strtod(buf, &end);
	return *end == 0 && end != buf;
}

static bool parse_uuid(struct tm_str text, uint8_t out[16])
{
	if (text.len != 36)
		return false;
	size_t n = 0;
	for (size_t i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text.at[i] != '-')
				return false;
			continue;
		}
		int c = tolower((unsigned char)text.at[i]);
		if (!isxdigit(c))
			return false;
		int v = isdigit(c) ? c - '0' : c - 'a' + 10;
		out[n / 2] = (uint8_t)(n % 2 ? out[n / 2] | v : v << 4);
		n++;
	}
	return true;
}

static tm_rc uuid_from_string(struct tm_arena *arena, enum tm_cql_kind kind, struct tm_str text, struct tm_str *ret, struct tm_err *err)
{
	uint8_t u[16];
	if (!parse_uuid(text, u))
		return kind == TM_CQL_TIMEUUID ? tm_fail(err, TM_INVALID, "Unknown timeuuid representation: %.*s", TM_STR_ARG(text))
					       : tm_fail(err, TM_INVALID, "Unable to make UUID from '%.*s'", TM_STR_ARG(text));
	if (kind == TM_CQL_TIMEUUID && (u[6] & 0xF0) != 0x10)
		return tm_fail(err, TM_INVALID, "TimeUUID supports only version 1 UUIDs");
	*ret = tm_arena_str(arena, tm_str_n((char *)u, 16));
	return TM_OK;
}

/* "1" is 0.0.0.1 and "1.2.3" 1.2.0.3, as Java reads them. */
static bool short_ipv4(struct tm_str text, uint8_t out[4])
{
	uint64_t parts[4] = {0};
	size_t n = 0;
	struct tm_str rest = text, part;
	int64_t v;
	while (tm_str_split(&rest, '.', &part)) {
		if (n == 4 || part.len == 0 || part.len > 10 || part.at[0] == '-' || part.at[0] == '+' || !tm_str_to_i64(part, &v))
			return false;
		parts[n++] = (uint64_t)v;
	}
	if (n == 0 || n == 4 || parts[n - 1] >> (8 * (5 - n)))
		return false;
	uint32_t address = (uint32_t)parts[n - 1];
	for (size_t i = 0; i + 1 < n; i++) {
		if (parts[i] > 255)
			return false;
		address |= (uint32_t)parts[i] << (24 - 8 * i);
	}
	address = __builtin_bswap32(address);
	memcpy(out, &address, 4);
	return true;
}

static tm_rc inet_from_string(struct tm_arena *arena, struct tm_str text, struct tm_str *ret, struct tm_err *err)
{
	char buf[64];
	uint8_t out[16];
	if (text.len == 0) {
		*ret = (struct tm_str){"", 0};
		return TM_OK;
	}
	if (short_ipv4(text, out)) {
		*ret = tm_arena_str(arena, tm_str_n((char *)out, 4));
		return TM_OK;
	}
	if (text.len < sizeof buf) {
		tm_copy(buf, text.at, text.len);
		buf[text.len] = 0;
		if (strcmp(buf, "localhost") == 0 || inet_pton(AF_INET, buf, out) == 1) {
			if (buf[0] == 'l')
				memcpy(out, "\x7F\0\0\1", 4);
			*ret = tm_arena_str(arena, tm_str_n((char *)out, 4));
			return TM_OK;
		}
		if (inet_pton(AF_INET6, buf, out) == 1) {
			bool mapped = memcmp(out, "\0\0\0\0\0\0\0\0\0\0\xFF\xFF", 12) == 0;
			*ret = tm_arena_str(arena, tm_str_n((char *)out + (mapped ? 12 : 0), mapped ? 4 : 16));
			return TM_OK;
		}
	}
	return tm_fail(err, TM_INVALID, "Unable to make inet address from '%.*s'", TM_STR_ARG(text));
}

static tm_rc blob_from_hex(struct tm_arena *arena, struct tm_str digits, struct tm_str *ret, struct tm_err *err)
{
	char *out = tm_arena_alloc(arena, digits.len / 2 + 1);
	bool bad = digits.len % 2;
	for (size_t i = 0; i < digits.len && !bad; i++) {
		int c = tolower((unsigned char)digits.at[i]);
		if (!isxdigit(c)) {
			bad = true;
			break;
		}
		int v = isdigit(c) ? c - '0' : c - 'a' + 10;
		out[i / 2] = (char)(i % 2 ? out[i / 2] | v : v << 4);
	}
	if (bad)
		return tm_fail(err, TM_INVALID, "cannot parse '%.*s' as hex bytes", TM_STR_ARG(digits));
	*ret = tm_str_n(out, digits.len / 2);
	return TM_OK;
}

tm_rc cql_from_string(struct tm_arena *arena, const struct tm_cql_type *type, struct tm_str text, struct tm_str *ret, struct tm_err *err)
{
	double d;
	struct tm_big big;
	struct tm_dec dec;
	switch (type->kind) {
	case TM_CQL_ASCII:
		for (size_t i = 0; i < text.len; i++)
			if (text.at[i] & 0x80)
				return tm_fail(err, TM_INVALID, "Invalid ASCII character in string literal");
		*ret = tm_arena_str(arena, text);
		return TM_OK;
	case TM_CQL_VARCHAR:
		*ret = tm_arena_str(arena, text);
		return TM_OK;
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
	case TM_CQL_INT:
	case TM_CQL_SMALLINT:
	case TM_CQL_TINYINT:
		return integer_from_string(arena, type->kind, text, ret, err);
	case TM_CQL_VARINT:
		if (!tm_big_parse(arena, text, &big))
			return tm_fail(err, TM_INVALID, "unable to make int from '%.*s'", TM_STR_ARG(text));
		*ret = tm_big_bytes(arena, big);
		return TM_OK;
	case TM_CQL_DECIMAL:
		if (!tm_dec_parse(arena, text, &dec))
			return tm_fail(err, TM_INVALID, "unable to make BigDecimal from '%.*s'", TM_STR_ARG(text));
		*ret = tm_dec_bytes(arena, dec);
		return TM_OK;
	case TM_CQL_DOUBLE:
		if (!parse_java_double(text, &d))
			return tm_fail(err, TM_INVALID, "Unable to make double from '%.*s'", TM_STR_ARG(text));
		*ret = cql_double_bytes(arena, d);
		return TM_OK;
	case TM_CQL_FLOAT: {
		if (!parse_java_double(text, &d))
			return tm_fail(err, TM_INVALID, "Unable to make float from '%.*s'", TM_STR_ARG(text));
		char *c = tm_arena_cstr(arena, tm_str_trim(text));
		*ret = cql_float_bytes(arena, isfinite(d) ? strtof(c, NULL) : (float)d);
		return TM_OK;
	}
	case TM_CQL_BOOLEAN:
		if (!tm_str_iis(text, "true") && !tm_str_iis(text, "false"))
			return tm_fail(err, TM_INVALID, "Unable to make boolean from '%.*s'", TM_STR_ARG(text));
		*ret = tolower((unsigned char)text.at[0]) == 't' ? TM_STR("\1") : TM_STR("\0");
		return TM_OK;
	case TM_CQL_DATE:
		return date_from_string(arena, text, ret, err);
	case TM_CQL_TIME:
		return time_from_string(arena, text, ret, err);
	case TM_CQL_TIMESTAMP:
		return timestamp_from_string(arena, text, ret, err);
	case TM_CQL_DURATION:
		return duration_from_string(arena, text, ret, err);
	case TM_CQL_UUID:
	case TM_CQL_TIMEUUID:
		return uuid_from_string(arena, type->kind, text, ret, err);
	case TM_CQL_INET:
		return inet_from_string(arena, text, ret, err);
	case TM_CQL_BLOB:
		return blob_from_hex(arena, text, ret, err);
	default:
		return tm_fail(err, TM_INVALID, "a %s cannot be made from a text", tm_type_native_name(type->kind));
	}
}

const char *cql_literal_kind_name(enum cql_expr_kind kind)
{
	switch (kind) {
	case CQL_E_STRING:
		return "STRING";
	case CQL_E_INTEGER:
		return "INTEGER";
	case CQL_E_FLOAT:
		return "FLOAT";
	case CQL_E_BOOLEAN:
		return "BOOLEAN";
	case CQL_E_UUID:
		return "UUID";
	case CQL_E_HEX:
		return "HEX";
	default:
		return "DURATION";
	}
}

bool cql_literal_fits(enum cql_expr_kind kind, enum tm_cql_kind type)
{
	switch (kind) {
	case CQL_E_STRING:
		return type == TM_CQL_ASCII || type == TM_CQL_VARCHAR || type == TM_CQL_INET || type == TM_CQL_DATE ||
		       type == TM_CQL_TIME || type == TM_CQL_TIMESTAMP;
	case CQL_E_INTEGER:
		return type == TM_CQL_BIGINT || type == TM_CQL_COUNTER || type == TM_CQL_DATE || type == TM_CQL_DECIMAL ||
		       type == TM_CQL_DOUBLE || type == TM_CQL_DURATION || type == TM_CQL_FLOAT || type == TM_CQL_INT ||
		       type == TM_CQL_SMALLINT || type == TM_CQL_TIME || type == TM_CQL_TIMESTAMP || type == TM_CQL_TINYINT ||
		       type == TM_CQL_VARINT;
	case CQL_E_FLOAT:
		return type == TM_CQL_DECIMAL || type == TM_CQL_DOUBLE || type == TM_CQL_FLOAT;
	case CQL_E_BOOLEAN:
		return type == TM_CQL_BOOLEAN;
	case CQL_E_UUID:
		return type == TM_CQL_UUID || type == TM_CQL_TIMEUUID;
	case CQL_E_HEX:
		return type == TM_CQL_BLOB || type == TM_CQL_TINYINT; /* Cassandra takes any bytes as a tinyint there */
	case CQL_E_DURATION:
		return type == TM_CQL_DURATION;
	default:
		return false;
	}
}

tm_rc cql_literal(struct tm_arena *arena, const struct cql_expr *e, const struct tm_cql_type *type, struct tm_str name, struct tm_str *ret,
		  struct tm_err *err)
{
	if (!cql_literal_fits(e->kind, type->kind)) {
		struct tm_buf b = {0};
		tm_table_type_text(type, &b);
		tm_rc rc = tm_fail(err, TM_INVALID, "Invalid %s constant (%.*s) for \"%.*s\" of type %s", cql_literal_kind_name(e->kind),
				   TM_STR_ARG(e->text), TM_STR_ARG(name), tm_buf_cstr(&b));
		tm_buf_done(&b);
		return rc;
	}
	struct tm_str text = e->text;
	if (e->kind == CQL_E_HEX)
		return blob_from_hex(arena, tm_str_slice(text, 2, text.len), ret, err);
	return cql_from_string(arena, type, text, ret, err);
}
