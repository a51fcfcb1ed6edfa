"""What the demo shop announces on its front page, in both of its languages."""

from hansa.demo.photographs import url
from hansa.services.home.contract import BannerDraft, BannersChanged, BannerText, Home

ACTOR = "demo"


async def announce(*, home: Home) -> None:
    """Put the demo's banners on the front page; where there were ever any, those stay."""
    try:
        await home.put_banners(key="demo banners", banners=banners(), version=0, actor=ACTOR)
    except BannersChanged:
        return


def banners() -> tuple[BannerDraft, ...]:
    """The first is the large one."""
    return (
        BannerDraft(
            texts={
                "en": BannerText(
                    title="Good clothes, worn in",
                    text="Every piece at Hansa Vintage was found, mended and washed by hand. Most of them exist once.",
                    link_label="See coats and dresses",
                ),
                "zh": BannerText(
                    title="好衣服，越穿越有味道",
                    text="汉萨古着的每一件，都由我们亲手挑选、修补、洗净。大多只此一件。",
                    link_label="去看大衣与连衣裙",
                ),
            },
            link="categories/dresses-and-coats",
            image=url("belted-trench"),
            tone="light",
        ),
        BannerDraft(
            texts={
                "en": BannerText(
                    title="Knitwear for cold mornings",
                    text="Roll necks, cardigans and tees, softened by someone else's winters.",
                    link_label="See tops",
                ),
                "zh": BannerText(
                    title="清晨微凉，添件针织",
                    text="高领、开衫、T 恤，早已被往年的冬天穿得柔软。",
                    link_label="去看上装",
                ),
            },
            link="categories/tops",
            image=url("chestnut-roll-neck"),
            tone="accent",
        ),
        BannerDraft(
            texts={
                "en": BannerText(
                    title="Re-soled and ready",
                    text="Boots, loafers and hats with years left in them.",
                    link_label="See shoes and hats",
                ),
                "zh": BannerText(
                    title="换了新底，再走几年",
                    text="靴子、乐福鞋和帽子，日子还长着呢。",
                    link_label="去看鞋帽",
                ),
            },
            link="categories/shoes-and-hats",
            image=url("chukka-boots"),
            tone="dark",
        ),
    )
