/* Days of the proleptic Gregorian calendar, and the ISO texts of instants. */
#include "dag/dag_int.h"

int64_t tm_days_of(int year, int month, int day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void tm_days_to(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t doe = days - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	*ret_day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*ret_month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*ret_year = (int)(yoe + era * 400 + (*ret_month <= 2));
}

int tm_month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month - 1];
}

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
	if (mo < 1 || mo > 12 || d < 1 || d > tm_month_days(y, mo))
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
	*ret_us = ((tm_days_of(y, mo, d) * 86400) + h * 3600 + mi * 60 + sec - offset) * TM_DAG_US + fraction;
	return true;
}

void tm_iso_put(struct tm_buf *out, int64_t us, char sep)
{
	int64_t seconds = us / TM_DAG_US, fraction = us % TM_DAG_US;
	if (fraction < 0) {
		fraction += TM_DAG_US;
		seconds--;
	}
	int64_t days = seconds / 86400, rest = seconds % 86400;
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	int y, mo, d;
	tm_days_to(days, &y, &mo, &d);
	tm_buf_printf(out, "%04d-%02d-%02d%c%02d:%02d:%02d", y, mo, d, sep, (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
	if (fraction)
		tm_buf_printf(out, ".%06d", (int)fraction);
	tm_buf_cstr_put(out, "+00:00");
}
