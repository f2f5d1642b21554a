//! Commands of Redis that are not here on purpose, and names that nobody knows.
//! The first are told from the second, and the error says what to do about it.

use crate::command::QUOTED_MAX;
use crate::error::{Error, worded};
use crate::resp::Args;

/// What a session and cache store leaves out: scripts, messages, and kinds of values that need a
/// Redis.
const ABSENT: &str = "\
    acl asking bgrewriteaof bgsave bitcount bitfield bitfield_ro bitop bitpos blmove blmpop \
    blpop brpop brpoplpush bzmpop bzpopmax bzpopmin copy debug dump eval eval_ro evalsha \
    evalsha_ro failover fcall fcall_ro function geoadd geodist geohash geopos georadius \
    georadius_ro georadiusbymember georadiusbymember_ro geosearch geosearchstore getbit \
    getrange hincrbyfloat hrandfield hstrlen latency lcs lindex linsert llen lmove lmpop \
    lolwut lpop lpos lpush lpushx lrange lrem lset ltrim migrate module monitor move object \
    pfadd pfcount pfmerge psubscribe psync publish pubsub punsubscribe readonly readwrite \
    replconf replicaof restore role rpop rpoplpush rpush rpushx save script sdiff sdiffstore \
    setbit setrange shutdown sinter sintercard sinterstore slaveof slowlog smismember smove \
    sort sort_ro spop spublish srandmember ssubscribe subscribe substr sunion sunionstore \
    sunsubscribe swapdb sync unsubscribe wait xack xadd xautoclaim xclaim xdel xgroup xinfo \
    xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim zadd zcard zcount zdiff \
    zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop zmscore zpopmax zpopmin \
    zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex \
    zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank \
    zscan zscore zunion zunionstore";

/// What to do about what is not here.
pub(super) const INSTEAD: &str = "for this run a Valkey or a Redis and give the service its URL";

/// What to say to who asks for a command that there is not. It begins as Redis's own error does:
/// clients look for that to find out what a server can do.
pub(crate) fn error(args: Args<'_>) -> Error {
    let name = args.at(0);
    let name = text(&name[..name.len().min(QUOTED_MAX)]);
    if is_absent(&name) {
        return worded(format!(
            "ERR unknown command '{name}': Herder's own store keeps sessions and caches and is no \
             whole Redis; {INSTEAD}"
        ));
    }
    let mut quoted = String::new();
    for argument in args.from(1) {
        if quoted.len() >= QUOTED_MAX {
            break;
        }
        let left = argument.len().min(QUOTED_MAX - quoted.len());
        quoted.push_str(&format!("'{}' ", text(&argument[..left])));
    }
    worded(format!("ERR unknown command '{name}', with args beginning with: {quoted}"))
}

/// Whether the line that begins with `name` is one of a request of HTTP: the first with a body, or
/// the header that each has.
pub(super) fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

fn is_absent(name: &str) -> bool {
    ABSENT.split_ascii_whitespace().any(|absent| absent.eq_ignore_ascii_case(name))
}

/// As C would print it: up to a zero byte.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::FAMILIES;

    #[test]
    fn what_is_absent_is_not_there() {
        let there = FAMILIES.iter().flat_map(|family| family.commands);
        for command in there {
            assert!(!is_absent(command.name), "{} is there", command.name);
        }
    }
}
