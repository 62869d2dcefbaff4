package gopprof

const ReasonA Reason = "a"
