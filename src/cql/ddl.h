/* Schema statements, between ddl.c, ddl_table.c and table_options.c. */
#ifndef TM_CQL_DDL_H
#define TM_CQL_DDL_H
#include "cql/cql_int.h"
tm_rc cql_table_options(struct tm_arena *arena, const struct cql_properties *properties, struct tm_table_params *params, uint8_t *id,
			struct tm_err *err) TM_CHECKED;
tm_rc cql_create_table(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err) TM_CHECKED;
tm_rc cql_alter_table(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err) TM_CHECKED;
tm_rc cql_create_index(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err) TM_CHECKED;
tm_rc cql_drop_index(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err) TM_CHECKED;
tm_rc cql_ddl_keyspace(struct cql_run *run, const struct cql_name *name, struct tm_str *ret,
		       struct tm_err *err) TM_CHECKED; /* of an unqualified name: the session's */
tm_rc cql_ddl_changed(struct cql_run *run, const char *change, const char *target, struct tm_str keyspace, struct tm_str name);
struct cql_scope cql_ddl_scope(struct cql_run *run, const struct tm_schema *schema, struct tm_err *err);
#endif
