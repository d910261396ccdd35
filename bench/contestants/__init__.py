"""The mail servers that are compared, one module each, in the order of the table."""

from bench.contestant import Contestant
from bench.contestants import chasquid, exim, opensmtpd, paperpath, postfix

CONTESTANTS: dict[str, Contestant] = {
    "paperpath": paperpath,
    "postfix": postfix,
    "exim": exim,
    "opensmtpd": opensmtpd,
    "chasquid": chasquid,
}
