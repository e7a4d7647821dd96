/* Results as JSON, for `tidemill cql --json`, the page's API and the tests. */
#ifndef TM_CQL_JSON_H
#define TM_CQL_JSON_H
#include "cql/cql.h"
/* One line without its end: {"columns":[{"name":…,"type":…}],"rows":[[…]]}; no columns when the result has none. */
void tm_cql_result_json(const struct tm_cql_result *result, struct tm_buf *out);
void tm_cql_value_plain_json(const struct tm_cql_type *type, const struct tm_cql_value *value, struct tm_buf *out);
void tm_cql_type_wire_text(const struct tm_cql_type *type, struct tm_buf *out);
#endif
