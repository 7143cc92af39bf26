"""Two ways to speak SNMP to an agent, behind one seam (`seam.Client`): gufo-snmp for all polls, pysnmp for the rest."""
