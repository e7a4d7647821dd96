/* Days of the calendar: known days, and each day of a range back to itself. */
#include "base/civil.h"
#include "unit.h"

TEST(known_days)
{
	CHECK_INT(tm_date_days(1970, 1, 1), 0);
	CHECK_INT(tm_date_days(2000, 2, 29), 11016);
	CHECK_INT(tm_date_days(1, 1, 1), -719162);      /* date.fromordinal(1) of Python */
	CHECK_INT(tm_date_days(9999, 12, 31), 2932896); /* the last day of Spark's dates */
	CHECK_INT(tm_weekday(0), 3);                    /* a Thursday */
	CHECK_INT(tm_weekday(-4), 6);
	CHECK(tm_leap_year(2000) && !tm_leap_year(1900) && tm_leap_year(2024) && !tm_leap_year(2023) && tm_leap_year(0) &&
	      tm_leap_year(-4));
	CHECK_INT(tm_date_month_days(1900, 2), 28);
	CHECK_INT(tm_date_month_days(2000, 2), 29);
}

TEST(each_day_follows_the_one_before)
{
	int64_t y0 = -401, y;
	int m0 = 12, d0 = 31, m, d;
	for (int64_t day = tm_date_days(-400, 1, 1); day < tm_date_days(2401, 1, 1); day++) {
		tm_civil_of(day, &y, &m, &d);
		bool month_ended = d0 == tm_date_month_days(y0, m0), year_ended = month_ended && m0 == 12;
		CHECK(y == y0 + year_ended && m == (year_ended ? 1 : m0 + month_ended) && d == (month_ended ? 1 : d0 + 1));
		CHECK_INT(tm_date_days(y, m, d), day);
		y0 = y, m0 = m, d0 = d;
	}
}

TEST(division_rounds_down)
{
	CHECK_INT(tm_floor_div(-1, 10), -1);
	CHECK_INT(tm_floor_div(-10, 10), -1);
	CHECK_INT(tm_floor_div(9, 10), 0);
	CHECK_INT(tm_floor_mod(-1, 10), 9);
	CHECK_INT(tm_floor_mod(INT64_MIN, 7), INT64_MIN % 7 + 7);
}

TEST_MAIN()
