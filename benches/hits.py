"""Generates the table of ClickBench: its 105 columns, skewed as the original's are, always the same for a number of rows.

Of the original: 18 percent of the users, URLs, titles and referrers are different ones and some are very many rows'; a fifth
of the rows have no referer, seven of eight no search phrase; few have an advertisement, a phone, a price; a counter has its
rows together, days within it in order; everything is in July 2013.
"""

import numpy
import pyarrow
import pyarrow.parquet

CHUNK = 8 * 122_880  # rows that are sorted together
GROUP = 122_880  # rows of a row group, as DuckDB has them
SEED = 1
DAYS = numpy.datetime64("2013-07-01")
# What queries ask for.
COUNTER, USER, URL_HASH, REFERER_HASH = 62, 435090932899640449, 2868770270353813622, 3594120000172545465

# A column a word: its name, and what it has, by the letter: s smallint, i integer, b bigint, t text, d date, m timestamp.
COLUMNS = """
watchid:b javaenable:s title:t goodevent:s eventtime:m eventdate:d counterid:i clientip:i regionid:i userid:b counterclass:s os:s
useragent:s url:t referer:t isrefresh:s referercategoryid:s refererregionid:i urlcategoryid:s urlregionid:i resolutionwidth:s
resolutionheight:s resolutiondepth:s flashmajor:s flashminor:s flashminor2:t netmajor:s netminor:s useragentmajor:s
useragentminor:t cookieenable:s javascriptenable:s ismobile:s mobilephone:s mobilephonemodel:t params:t ipnetworkid:i
traficsourceid:s searchengineid:s searchphrase:t advengineid:s isartifical:s windowclientwidth:s windowclientheight:s
clienttimezone:s clienteventtime:m silverlightversion1:s silverlightversion2:s silverlightversion3:i silverlightversion4:s
pagecharset:t codeversion:i islink:s isdownload:s isnotbounce:s funiqid:b originalurl:t hid:i isoldcounter:s isevent:s
isparameter:s dontcounthits:s withhash:s hitcolor:t localeventtime:m age:s sex:s income:s interests:s robotness:s remoteip:i
windowname:i openername:i historylength:s browserlanguage:t browsercountry:t socialnetwork:t socialaction:t httperror:s
sendtiming:i dnstiming:i connecttiming:i responsestarttiming:i responseendtiming:i fetchtiming:i socialsourcenetworkid:s
socialsourcepage:t paramprice:b paramorderid:t paramcurrency:t paramcurrencyid:s openstatservicename:t openstatcampaignid:t
openstatadid:t openstatsourceid:t utmsource:t utmmedium:t utmcampaign:t utmcontent:t utmterm:t fromtag:t hasgclid:s
refererhash:b urlhash:b clid:i
"""
TYPES = {
    "s": pyarrow.int16(),
    "i": pyarrow.int32(),
    "b": pyarrow.int64(),
    "t": pyarrow.string(),
    "d": pyarrow.date32(),
    "m": pyarrow.timestamp("us"),
}
SCHEMA = pyarrow.schema([(name, TYPES[kind]) for name, kind in (word.split(":") for word in COLUMNS.split())])

# Texts and how often; the rest is empty.
SELDOM = {
    "params": (0.02, ["a=1", "page=2&sort=price", "ref=main"]),
    "openstatservicename": (0.003, ["direct.yandex.ru", "begun.ru"]),
    "openstatcampaignid": (0.003, ["1234567", "7654321"]),
    "openstatadid": (0.003, ["55501", "55502"]),
    "openstatsourceid": (0.003, ["yandex", "premium"]),
    "utmsource": (0.02, ["google", "yandex", "newsletter", "vk"]),
    "utmmedium": (0.02, ["cpc", "email", "banner"]),
    "utmcampaign": (0.02, ["summer", "sale2013", "brand"]),
    "utmcontent": (0.01, ["top", "left", "text1"]),
    "utmterm": (0.01, ["kupit", "cena", "otzyvy"]),
    "fromtag": (0.002, ["rss", "feed"]),
    "socialnetwork": (0.001, ["vkontakte", "facebook"]),
    "socialaction": (0.001, ["like", "share"]),
    "socialsourcepage": (0.001, ["http://vk.com/feed", "http://facebook.com/home"]),
    "paramorderid": (0.0005, ["A-1", "A-2"]),
    "browserlanguage": (1, ["ru", "ru", "ru", "ru", "en", "uk"]),
    "browsercountry": (1, ["RU", "RU", "RU", "UA", "BY", "KZ"]),
    "flashminor2": (0.7, ["700", "502", "110"]),
    "useragentminor": (1, ["0", "0", "12", "1180", "5"]),
    "pagecharset": (0.99, ["windows-1251", "utf-8", "utf-8"]),
    "paramcurrency": (1, ["NH\x1c"]),
    "hitcolor": (1, ["F", "5", "E", "T", "g"]),
}
# The largest value of columns that are nearly always 0, and in how many rows they are not.
NUMBERS = {
    "referercategoryid": (20_000, 0.4), "refererregionid": (300, 0.5), "urlcategoryid": (15_000, 0.3),
    "urlregionid": (240, 0.4), "netmajor": (5, 0.1), "netminor": (9, 0.1), "silverlightversion1": (5, 0.2),
    "silverlightversion2": (1, 0.1), "silverlightversion3": (60_000, 0.2), "silverlightversion4": (400, 0.01),
    "isoldcounter": (1, 0.01), "isevent": (1, 0.05), "isparameter": (1, 0.02), "withhash": (1, 0.1), "age": (60, 0.3),
    "sex": (2, 0.4), "income": (4, 0.3), "interests": (32_000, 0.3), "robotness": (60, 0.05), "httperror": (503, 0.001),
    "sendtiming": (500, 0.4), "dnstiming": (300, 0.4), "connecttiming": (400, 0.4), "responsestarttiming": (3_000, 0.5),
    "responseendtiming": (2_000, 0.5), "fetchtiming": (9_000, 0.5), "socialsourcenetworkid": (7, 0.001),
    "paramprice": (100_000, 0.001), "paramcurrencyid": (3, 0.001), "hasgclid": (1, 0.003), "clid": (300_000, 0.01),
    "openername": (2**31 - 1, 0.3), "windowname": (2**31 - 1, 0.5), "isartifical": (1, 0.01), "isnotbounce": (1, 0.6),
    "dontcounthits": (1, 0.05), "isrefresh": (1, 0.14), "islink": (1, 0.06), "isdownload": (1, 0.004),
    "javaenable": (1, 0.75), "flashmajor": (11, 0.85), "flashminor": (7, 0.5), "cookieenable": (1, 0.98),
    "javascriptenable": (1, 0.97), "historylength": (30, 0.9), "clienttimezone": (720, 0.95), "advengineid": (29, 0.0063),
    "counterclass": (1, 0.9), "goodevent": (1, 1), "codeversion": (1_500, 1), "useragentmajor": (30, 0.98),
}  # fmt: skip


def write(file, rows):
    """The file of so many rows."""
    random = numpy.random.default_rng(SEED)
    pools = Pools(random, rows)
    writer = pyarrow.parquet.ParquetWriter(file, SCHEMA, compression="snappy")
    for start in range(0, rows, CHUNK):
        writer.write_table(chunk(random, pools, min(CHUNK, rows - start)), row_group_size=GROUP)
    writer.close()


class Pools:
    """The different values of what has many."""

    def __init__(self, random, rows):
        count = max(rows * 18 // 100, 1000)
        words = syllables(random, 20_000)
        domains = numpy.array([f"{word}.{end}" for word, end in zip(words[:6000], ["ru", "com", "ua", "net"] * 1500)])
        self.users = random.integers(2**40, 2**62, count)
        self.users[len(self.users) // 2] = USER
        self.urls = pages(random, domains, words, count)
        domains[[2, 40, 900]] = "www.google.com", "yandex.ru", "www.google.ru"
        self.referrers = pages(random, domains, words, count)
        self.titles = phrases(random, words, count, 6, "Google")
        self.phrases = numpy.concatenate([[""], phrases(random, words, max(rows * 6 // 100, 500), 3, "")])
        self.referrers[0] = ""
        self.counters = random.permutation(numpy.arange(63, 200_063, 30))[:6506].astype(numpy.int32)
        self.regions = random.permutation(numpy.arange(1, 20_000))[:9040].astype(numpy.int32)
        self.addresses = random.integers(-(2**31), 2**31, count).astype(numpy.int32)
        self.models = numpy.array(["", "iPad", "iPhone", *(f"GT-{number}" for number in range(160))])
        self.url_hashes, self.referer_hashes = (random.integers(-(2**63), 2**63, count) for _ in range(2))
        self.url_hashes[1], self.referer_hashes[1] = URL_HASH, REFERER_HASH


def syllables(random, count):
    """Words of Cyrillic and of Latin letters."""
    parts = ["ка", "ро", "ни", "то", "ва", "ль", "пе", "ст", "ма", "ко", "да", "ри", "че", "бу", "зе"]  # noqa: RUF001
    latin = ["ka", "ro", "ni", "to", "va", "le", "pe", "st", "ma", "ko", "da", "ri", "che", "bu", "ze"]
    picks = random.integers(0, len(parts), (count, 5))
    lengths = random.integers(2, 6, count)
    return [
        "".join((latin if number < 6000 else parts)[i] for i in row[:length])
        for number, (row, length) in enumerate(zip(picks, lengths))
    ]


def pages(random, domains, words, count):
    """Addresses; some have the word google in what follows the host."""
    hosts, names = rank(random, count, len(domains)), rank(random, (count, 2), 6000)
    numbers = random.integers(0, 10**7, count)
    google = random.random(count) < 0.0002
    texts = [
        f"http{'s' if number % 19 == 0 else ''}://{domains[host]}/{words[one]}/{words[two]}"
        f"{'/google' if odd else ''}{f'?id={number}&from={words[number % 6000]}' if number % 3 else '.html'}"
        for host, (one, two), number, odd in zip(hosts, names, numbers, google)
    ]
    return numpy.array(texts, dtype=object)


def phrases(random, words, count, most, odd):
    picks, lengths = rank(random, (count, most), len(words)), random.integers(1, most + 1, count)
    texts = [" ".join(words[i] for i in row[:length]) for row, length in zip(picks, lengths)]
    if odd:
        for at in numpy.flatnonzero(random.random(count) < 0.0005):
            texts[at] += f" — {odd}"
    return numpy.array(texts, dtype=object)


def rank(random, shape, count):
    """Numbers below `count`, the n-th about as often as 1/n."""
    return numpy.minimum((count ** random.random(shape)).astype(numpy.int64) - 1, count - 1)


def skewed(random, rows, count, even):
    """As [rank], with a part of the rows that has any number: the long tail."""
    return numpy.where(random.random(rows) < even, random.integers(0, count, rows), rank(random, rows, count))


def taken(pool, indexes):
    return pyarrow.DictionaryArray.from_arrays(pyarrow.array(indexes, pyarrow.int32()), pyarrow.array(pool, pyarrow.string()))


def chunk(random, pools, rows):
    counters = pools.counters[skewed(random, rows, len(pools.counters), 0.05)]
    counters[random.random(rows) < 0.0074] = COUNTER
    seconds = (random.random(rows) * 31).astype(numpy.int64) * 86_400 + random.integers(0, 86_400, rows)
    order = numpy.lexsort((seconds // 86_400, counters))
    counters, seconds = counters[order], seconds[order]
    own = counters == COUNTER
    times = (DAYS.astype("datetime64[us]") + seconds.astype("timedelta64[s]")).astype("datetime64[us]")

    users = skewed(random, rows, len(pools.users), 0.5)
    urls, referrers, titles = (skewed(random, rows, len(pools.urls), 0.4) for _ in range(3))
    referrers[random.random(rows) < 0.19] = 0
    # The pages of the counter that the last queries ask for.
    urls = numpy.where(own, 1 + rank(random, rows, min(30_000, len(pools.urls) - 1)), urls)
    referrers = numpy.where(own & (random.random(rows) < 0.3), 1 + rank(random, rows, min(3_000, len(pools.urls) - 1)), referrers)
    searched = random.random(rows) < 0.1317
    searches = numpy.where(searched, 1 + skewed(random, rows, len(pools.phrases) - 1, 0.5), 0)
    models = numpy.where(random.random(rows) < 0.056, 1 + rank(random, rows, len(pools.models) - 1), 0)
    widths = numpy.array([1368, 1087, 1917, 1638, 1749, 1996, 1594, 0, 508, 1261])[rank(random, rows, 10)]
    engines = numpy.where(searched, numpy.array([2, 3, 13, 14, 28, 40])[rank(random, rows, 6)], 0)

    columns = {
        "watchid": random.integers(2**62, 2**63 - 1, rows),
        "title": taken(pools.titles, titles),
        "eventtime": times,
        "eventdate": times.astype("datetime64[D]"),
        "counterid": counters,
        "clientip": pools.addresses[users],
        "regionid": pools.regions[numpy.minimum(*(rank(random, rows, len(pools.regions)) for _ in range(2)))],
        "userid": pools.users[users],
        "os": numpy.array([44, 2, 1, 107, 10, 97])[rank(random, rows, 6)],
        "useragent": numpy.array([7, 5, 2, 27, 82])[rank(random, rows, 5)],
        "url": taken(pools.urls, urls),
        "referer": taken(pools.referrers, referrers),
        "resolutionwidth": widths,
        "resolutionheight": widths * 9 // 16,
        "resolutiondepth": numpy.array([23, 37, 22])[rank(random, rows, 3)],
        "ismobile": models > 0,
        "mobilephone": numpy.where(models > 0, models % 30 + 1, 0),
        "mobilephonemodel": taken(pools.models, models),
        "ipnetworkid": random.integers(0, 4_000_000, rows),
        "traficsourceid": numpy.array([-1, 3, 6, 5, 1, 2, 0, 7, 9, 4])[rank(random, rows, 10)],
        "searchengineid": engines,
        "searchphrase": taken(pools.phrases, searches),
        "windowclientwidth": numpy.maximum(widths - random.integers(0, 60, rows), 0),
        "windowclientheight": numpy.maximum(widths // 2 - random.integers(0, 200, rows), 0),
        "clienteventtime": times + random.integers(-3_600, 3_600, rows).astype("timedelta64[s]"),
        "localeventtime": times + numpy.timedelta64(4, "h"),
        "funiqid": random.integers(0, 2**62, rows) * (random.random(rows) < 0.8),
        "originalurl": taken(numpy.concatenate([[""], pools.urls]), numpy.where(random.random(rows) < 0.1, urls + 1, 0)),
        "hid": random.integers(0, 2**30, rows),
        "remoteip": pools.addresses[(users + 1) % len(pools.addresses)],
        "refererhash": pools.referer_hashes[referrers],
        "urlhash": pools.url_hashes[urls],
    }
    for name, (part, texts) in SELDOM.items():
        pool = numpy.array(["", *texts], dtype=object)
        columns[name] = taken(pool, numpy.where(random.random(rows) < part, 1 + random.integers(0, len(texts), rows), 0))
    for name, (most, part) in NUMBERS.items():
        numbers = 1 + rank(random, rows, most) if most > 1 else 1
        columns[name] = numpy.where(random.random(rows) < part, numbers, 0)

    def column(field):
        values = columns[field.name]
        if not isinstance(values, pyarrow.Array):
            values = pyarrow.array(values)
        return values.cast(field.type)

    return pyarrow.Table.from_arrays([column(field) for field in SCHEMA], schema=SCHEMA)
