/* Rows of CQL, printed as cqlsh prints them. */
#ifndef TM_CLI_ROWS_H
#define TM_CLI_ROWS_H
#include "cql/cql.h"

void tm_rows_print(const struct tm_cql_result *result);
#endif
