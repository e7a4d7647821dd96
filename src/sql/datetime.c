/* Reading and writing them in Spark's default forms. */
#include "sql/datetime.h"

void tm_iso_week(int64_t days, int64_t *ret_year, int *ret_week)
{
	int64_t year, thursday = days - tm_weekday(days) + 3;
	int month, day;
	tm_civil_of(thursday, &year, &month, &day);
	*ret_year = year;
	*ret_week = (int)((thursday - tm_date_days(year, 1, 1)) / 7 + 1);
}

int64_t tm_add_months(int64_t days, int64_t months)
{
	int64_t year;
	int month, day;
	tm_civil_of(days, &year, &month, &day);
	int64_t total = year * 12 + month - 1 + months;
	year = tm_floor_div(total, 12);
	month = (int)tm_floor_mod(total, 12) + 1;
	int last = tm_date_month_days(year, month);
	return tm_date_days(year, month, day < last ? day : last);
}

void tm_local_of(int64_t local_us, struct tm_local *ret)
{
	int64_t days = tm_micros_to_days(local_us), us = tm_floor_mod(local_us, TM_US_DAY);
	ret->days = days;
	tm_civil_of(days, &ret->year, &ret->month, &ret->day);
	ret->hour = (int)(us / TM_US_HOUR);
	ret->minute = (int)(us / TM_US_MINUTE % 60);
	ret->second = (int)(us / TM_US_SECOND % 60);
	ret->nanos = (int32_t)(us % TM_US_SECOND * 1000);
}

/* ---- writing ---- */
static void two(struct tm_buf *out, int v)
{
	char text[2] = {(char)('0' + v / 10), (char)('0' + v % 10)};
	tm_buf_put(out, text, 2);
}

static void year_text(int64_t year, struct tm_buf *out)
{
	if (year >= 0 && year <= 9999) {
		two(out, (int)(year / 100));
		two(out, (int)(year % 100));
	} else {
		tm_buf_printf(out, year < 0 ? "-%04lld" : "+%lld", (long long)(year < 0 ? -year : year));
	}
}

void tm_date_text(int64_t days, struct tm_buf *out)
{
	int64_t year;
	int month, day;
	tm_civil_of(days, &year, &month, &day);
	year_text(year, out);
	tm_buf_char(out, '-');
	two(out, month);
	tm_buf_char(out, '-');
	two(out, day);
}

/* .5 of 500000: digits without trailing zeros. */
static void fraction_text(int64_t fraction, int width, struct tm_buf *out)
{
	char text[12];
	if (fraction == 0)
		return;
	for (int i = width - 1; i >= 0; i--) {
		text[i] = (char)('0' + fraction % 10);
		fraction /= 10;
	}
	while (text[width - 1] == '0')
		width--;
	tm_buf_char(out, '.');
	tm_buf_put(out, text, (size_t)width);
}

void tm_timestamp_text(int64_t local_us, struct tm_buf *out)
{
	int64_t days = tm_micros_to_days(local_us), us = tm_floor_mod(local_us, TM_US_DAY);
	tm_date_text(days, out);
	tm_buf_char(out, ' ');
	two(out, (int)(us / TM_US_HOUR));
	tm_buf_char(out, ':');
	two(out, (int)(us / TM_US_MINUTE % 60));
	tm_buf_char(out, ':');
	two(out, (int)(us / TM_US_SECOND % 60));
	fraction_text(us % TM_US_SECOND, 6, out);
}

void tm_time_text(int64_t nanos, struct tm_buf *out)
{
	int64_t s = nanos / 1000000000;
	two(out, (int)(s / 3600));
	tm_buf_char(out, ':');
	two(out, (int)(s / 60 % 60));
	tm_buf_char(out, ':');
	two(out, (int)(s % 60));
	fraction_text(nanos % 1000000000, 9, out);
}

/* ---- reading ---- */
static struct tm_str trim(struct tm_str s)
{
	while (s.len && (unsigned char)s.at[0] <= ' ') {
		s.at++;
		s.len--;
	}
	while (s.len && (unsigned char)s.at[s.len - 1] <= ' ')
		s.len--;
	return s;
}

static bool date_ok(int64_t year, int month, int day, int64_t *ret_days)
{
	if (month < 1 || month > 12 || day < 1 || day > tm_date_month_days(year, month))
		return false;
	*ret_days = tm_date_days(year, month, day);
	return true;
}

bool tm_date_parse(struct tm_str s, int32_t *ret)
{
	int64_t part[3] = {1, 1, 1}, value = 0, days;
	size_t i = 0;
	int digits = 0, at = 0;
	s = trim(s);
	if (s.len == 0)
		return false;
	bool negative = s.at[0] == '-';
	i = negative || s.at[0] == '+';
	for (; i < s.len && s.at[i] != ' ' && s.at[i] != 'T'; i++) {
		char c = s.at[i];
		if (c == '-' && at < 2) {
			if (digits < (at ? 1 : 4) || digits > (at ? 2 : 7))
				return false;
			part[at++] = value;
			value = digits = 0;
		} else if (c >= '0' && c <= '9' && digits < 8) {
			value = value * 10 + (c - '0');
			digits++;
		} else {
			return false;
		}
	}
	if (digits < (at ? 1 : 4) || digits > (at ? 2 : 7) || (at < 2 && i < s.len))
		return false;
	part[at] = value;
	if (!date_ok(negative ? -part[0] : part[0], (int)part[1], (int)part[2], &days) || days < INT32_MIN || days > INT32_MAX)
		return false;
	*ret = (int32_t)days;
	return true;
}

/* year month day hour minute second micros; where: index of the segment */
struct timestamp_parts {
	int64_t v[7];
	bool time_only;
	struct tm_str zone; /* at NULL = none */
};
static bool segment_ok(int where, int digits)
{
	return where == 6 ? true : where == 0 ? digits >= 4 && digits <= 6 : digits > 0 && digits <= 2;
}

static int two_digits(const char *at, bool *bad)
{
	unsigned high = (unsigned)(at[0] - '0'), low = (unsigned)(at[1] - '0');
	*bad |= high > 9 || low > 9;
	return (int)(high * 10 + low);
}

/* yyyy-MM-dd'T'HH:mm:ss with or without a fraction and a zone: what most data has. False: anything else, see below. */
static bool usual_split(struct tm_str s, struct timestamp_parts *p)
{
	const char *t = s.at, *end = s.at + s.len;
	if (s.len < 19 || t[4] != '-' || t[7] != '-' || (t[10] != 'T' && t[10] != ' ') || t[13] != ':' || t[16] != ':')
		return false;
	bool bad = false;
	int century = two_digits(t, &bad), year = two_digits(t + 2, &bad);
	*p = (struct timestamp_parts){.v = {century * 100 + year, two_digits(t + 5, &bad), two_digits(t + 8, &bad),
					    two_digits(t + 11, &bad), two_digits(t + 14, &bad), two_digits(t + 17, &bad)}};
	t += 19;
	if (t < end && *t == '.')
		for (int64_t unit = 100000; ++t < end && *t >= '0' && *t <= '9'; unit /= 10)
			p->v[6] += unit * (*t - '0'); /* beyond microseconds: dropped */
	if (t < end && *t >= '0' && *t <= '9')
		return false;
	struct tm_str zone = trim((struct tm_str){t, (size_t)(end - t)});
	if (zone.len)
		p->zone = zone;
	return !bad && p->v[3] < 24 && p->v[4] < 60 && p->v[5] < 60;
}

static bool timestamp_split(struct tm_str s, struct timestamp_parts *p)
{
	if (usual_split(s, p))
		return true;
	*p = (struct timestamp_parts){.v = {1, 1, 1}};
	int where = 0, digits = 0, micros_digits = 0;
	int64_t value = 0;
	s = trim(s);
	if (s.len == 0)
		return false;
	bool sign = s.at[0] == '-' || s.at[0] == '+', negative = s.at[0] == '-';
	size_t j = sign;
	for (; j < s.len; j++) {
		char c = s.at[j];
		if (c >= '0' && c <= '9') {
			if (where == 6)
				micros_digits += micros_digits < 6;
			if (digits < (where == 6 ? 6 : 10))
				value = value * 10 + (c - '0');
			digits++;
			continue;
		}
		int next = where + 1;
		if (j == 0 && c == 'T') {
			p->time_only = true;
			where = 3;
			continue;
		}
		if (where == 0 && c == ':' && !sign) {
			p->time_only = true;
			where = 3;
			next = 4;
		} else if (where < 2 ? c != '-' : where == 2 ? c != ' ' && c != 'T' : where <= 4 ? c != ':' : false) {
			return false;
		}
		if (!segment_ok(where, digits))
			return false;
		p->v[where] = value;
		if (where >= 5 && !(c == '.' && where == 5)) {
			p->zone = trim(tm_str_slice(s, j, s.len));
			goto done;
		}
		value = digits = 0;
		where = next;
	}
	if (!segment_ok(where, digits))
		return false;
	p->v[where] = value;
done:
	for (; micros_digits && micros_digits < 6; micros_digits++)
		p->v[6] *= 10;
	if (negative)
		p->v[0] = -p->v[0];
	return p->v[3] < 24 && p->v[4] < 60 && p->v[5] < 60;
}

static bool local_of_parts(const struct timestamp_parts *p, int64_t days, int64_t *ret)
{
	return tm_micros_of(days, p->v[3] * TM_US_HOUR + p->v[4] * TM_US_MINUTE + p->v[5] * TM_US_SECOND + p->v[6], ret);
}

bool tm_timestamp_parse(struct tm_str s, const struct tm_sql_zone *zone, int64_t now_us, int64_t *ret)
{
	struct timestamp_parts p;
	int64_t days, local;
	if (!timestamp_split(s, &p))
		return false;
	if (p.zone.at && !(zone = tm_sql_zone_find(p.zone)))
		return false;
	if (p.time_only)
		days = tm_micros_to_days(tm_sql_zone_to_local(zone, now_us));
	else if (!date_ok(p.v[0], (int)p.v[1], (int)p.v[2], &days))
		return false;
	if (!local_of_parts(&p, days, &local))
		return false;
	*ret = tm_sql_zone_to_utc(zone, local);
	return true;
}

bool tm_timestamp_ntz_parse(struct tm_str s, bool allow_zone, int64_t *ret)
{
	struct timestamp_parts p;
	int64_t days;
	if (!timestamp_split(s, &p) || p.time_only || !date_ok(p.v[0], (int)p.v[1], (int)p.v[2], &days))
		return false;
	if (p.zone.at && (!allow_zone || !tm_sql_zone_find(p.zone)))
		return false;
	return local_of_parts(&p, days, ret);
}

bool tm_time_parse(struct tm_str s, int64_t *ret_nanos)
{
	struct timestamp_parts p;
	s = trim(s);
	int add = 0;
	bool twelve = false;
	if (s.len > 2 && (tm_str_iis(tm_str_slice(s, s.len - 2, s.len), "am") || tm_str_iis(tm_str_slice(s, s.len - 2, s.len), "pm"))) {
		twelve = true;
		add = s.at[s.len - 2] == 'p' || s.at[s.len - 2] == 'P' ? 12 : 0;
		s = trim(tm_str_slice(s, 0, s.len - 2));
	}
	if (!timestamp_split(s, &p) || !p.time_only || p.zone.at)
		return false;
	if (twelve) {
		if (p.v[3] < 1 || p.v[3] > 12)
			return false;
		p.v[3] = p.v[3] % 12 + add;
	}
	*ret_nanos = ((p.v[3] * 60 + p.v[4]) * 60 + p.v[5]) * 1000000000 + p.v[6] * 1000;
	return true;
}

bool tm_special_time(struct tm_str s, const struct tm_sql_zone *zone, int64_t now_us, int64_t *ret)
{
	s = trim(s);
	if (tm_str_iis(s, "epoch")) {
		*ret = 0;
		return true;
	}
	if (tm_str_iis(s, "now")) {
		*ret = now_us;
		return true;
	}
	static const char *const words[] = {"yesterday", "today", "tomorrow"};
	for (int i = 0; i < 3; i++) {
		if (tm_str_iis(s, words[i])) {
			int64_t days = tm_micros_to_days(tm_sql_zone_to_local(zone, now_us));
			*ret = tm_sql_zone_to_utc(zone, (days + i - 1) * TM_US_DAY);
			return true;
		}
	}
	return false;
}
