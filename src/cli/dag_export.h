/* `tidemill dag export [DIR]`: needs no running instance. to: NULL = the folder airflow of the project. Gives the exit status. */
#ifndef TM_CLI_DAG_EXPORT_H
#define TM_CLI_DAG_EXPORT_H
#include "cli/command.h"
int tm_dag_export(const struct tm_common *common, const char *to, bool secrets);
#endif
