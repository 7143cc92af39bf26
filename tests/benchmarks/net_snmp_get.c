/* GETs of five system objects through net-snmp's own library, several in flight: microseconds of CPU for each. */
#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <stdio.h>
#include <sys/resource.h>

static const oid objects[5][9] = {{1, 3, 6, 1, 2, 1, 1, 1, 0}, {1, 3, 6, 1, 2, 1, 1, 2, 0}, {1, 3, 6, 1, 2, 1, 1, 3, 0},
                                  {1, 3, 6, 1, 2, 1, 1, 5, 0}, {1, 3, 6, 1, 2, 1, 1, 6, 0}};
static int sent, got, wanted;

static void ask(netsnmp_session *session) {
    netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET);
    for (int i = 0; i < 5; i++)
        snmp_add_null_var(pdu, objects[i], 9);
    if (snmp_send(session, pdu))
        sent++;
    else
        snmp_free_pdu(pdu);
}

static int answered(int operation, netsnmp_session *session, int id, netsnmp_pdu *pdu, void *magic) {
    (void)id, (void)pdu, (void)magic;
    got += operation == NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE;
    if (sent < wanted)
        ask(session);
    else
        wanted -= operation != NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE;
    return 1;
}

int main(int argc, char **argv) {
    netsnmp_session base, *session;
    if (argc != 4)
        return 2;
    wanted = atoi(argv[2]);
    init_snmp("bench");
    snmp_sess_init(&base);
    base.version = SNMP_VERSION_2c;
    base.peername = argv[1];
    base.community = (u_char *)"public";
    base.community_len = 6;
    base.callback = answered;
    session = snmp_open(&base);
    if (!session)
        return 1;
    for (int i = 0; i < atoi(argv[3]); i++)
        ask(session);
    while (got < wanted) {
        int fds = 0, block = 1;
        fd_set set;
        struct timeval timeout;
        FD_ZERO(&set);
        snmp_select_info(&fds, &set, &timeout, &block);
        if (select(fds, &set, NULL, NULL, block ? NULL : &timeout) > 0)
            snmp_read(&set);
        else
            snmp_timeout();
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("%f\n", ((used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + used.ru_utime.tv_usec + used.ru_stime.tv_usec) / got);
    return 0;
}
