/* The ISO texts of instants. */
#include "dag/dag_int.h"

/* Exactly n digits at *at. */
static bool digits(const char **at, const char *end, int n, int *ret)
{
	int v = 0;
	for (int i = 0; i < n; i++, (*at)++) {
		if (*at >= end || **at < '0' || **at > '9')
			return false;
		v = v * 10 + (**at - '0');
	}
	*ret = v;
	return true;
}
static bool take(const char **at, const char *end, char c)
{
	if (*at >= end || **at != c)
		return false;
	(*at)++;
	return true;
}

bool tm_iso_parse(struct tm_str s, int64_t *ret_us)
{
	if (!s.at)
		return false;
	const char *at = s.at, *end = s.at + s.len;
	int y, mo, d, h = 0, mi = 0, sec = 0;
	if (!digits(&at, end, 4, &y) || !take(&at, end, '-') || !digits(&at, end, 2, &mo) || !take(&at, end, '-') ||
	    !digits(&at, end, 2, &d))
		return false;
	if (mo < 1 || mo > 12 || d < 1 || d > tm_date_month_days(y, mo))
		return false;
	int64_t fraction = 0, offset = 0;
	if (at < end) {
		if (!take(&at, end, 'T') && !take(&at, end, ' '))
			return false;
		if (!digits(&at, end, 2, &h) || !take(&at, end, ':') || !digits(&at, end, 2, &mi))
			return false;
		if (take(&at, end, ':') && !digits(&at, end, 2, &sec))
			return false;
		if (h > 23 || mi > 59 || sec > 59)
			return false;
		if (take(&at, end, '.')) {
			int64_t unit = TM_DAG_US / 10;
			while (at < end && *at >= '0' && *at <= '9') {
				fraction += unit * (*at++ - '0');
				unit /= 10;
			}
		}
		if (at < end && *at == 'Z') {
			at++;
		} else if (at < end && (*at == '+' || *at == '-')) {
			int sign = *at++ == '-' ? -1 : 1, oh, om = 0;
			if (!digits(&at, end, 2, &oh))
				return false;
			take(&at, end, ':');
			if (at < end && !digits(&at, end, 2, &om))
				return false;
			offset = sign * (oh * 3600 + om * 60);
		}
	}
	if (at != end)
		return false;
	*ret_us = ((tm_date_days(y, mo, d) * 86400) + h * 3600 + mi * 60 + sec - offset) * TM_DAG_US + fraction;
	return true;
}

void tm_iso_put(struct tm_buf *out, int64_t us, char sep)
{
	int64_t seconds = tm_floor_div(us, TM_DAG_US), fraction = us - seconds * TM_DAG_US;
	int64_t days = tm_floor_div(seconds, 86400), rest = seconds - days * 86400, y;
	int mo, d;
	tm_civil_of(days, &y, &mo, &d);
	tm_buf_printf(out, "%04d-%02d-%02d%c%02d:%02d:%02d", (int)y, mo, d, sep, (int)(rest / 3600), (int)(rest / 60 % 60),
		      (int)(rest % 60));
	if (fraction)
		tm_buf_printf(out, ".%06d", (int)fraction);
	tm_buf_cstr_put(out, "+00:00");
}
