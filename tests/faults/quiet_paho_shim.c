/*
 * Paho's shared library without its trace, as a build with PAHO_HIGH_PERFORMANCE is: LD_PRELOAD
 * this, and nothing is told of an allocation that fails.
 */
#include <MQTTAsync.h>

void MQTTAsync_setTraceCallback(MQTTAsync_traceCallback *callback)
{
    (void)callback;
}
