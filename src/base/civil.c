/* By 400-year eras that begin on 1 March: the leap day is the last of its year. */
#include "base/civil.h"

int64_t tm_date_days(int64_t y, int m, int d)
{
	y -= m <= 2;
	int64_t era = tm_floor_div(y, 400), yoe = y - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void tm_civil_of(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
	days += 719468;
	int64_t era = tm_floor_div(days, 146097), doe = days - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	int month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*ret_year = yoe + era * 400 + (month <= 2);
	*ret_month = month;
	*ret_day = (int)(doy - (153 * mp + 2) / 5 + 1);
}

bool tm_leap_year(int64_t y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); }

int tm_date_month_days(int64_t year, int month)
{
	static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return month == 2 && tm_leap_year(year) ? 29 : days[month - 1];
}
