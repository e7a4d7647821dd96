/* The stage `broker`: where the topics are. */
#include "cli/instance.h"

tm_rc tm_instance_broker_start(struct tm_instance *in, struct tm_err *err)
{
	(void)err;
	in->broker = tm_broker_log_new(in->log);
	return TM_OK;
}

void tm_instance_broker_stop(struct tm_instance *in)
{
	tm_broker_free(in->broker);
	in->broker = in->world.broker = NULL;
}
