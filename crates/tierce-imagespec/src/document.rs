//! Parts of specs as JSON.

/// URLs with their names and credentials, which nothing but a process that builds gets to see.
pub(crate) mod urls {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tierce_spec::ServiceUrl;

    /// One URL, or several.
    pub(crate) trait Urls: Sized {
        type Texts: Serialize + for<'de> Deserialize<'de>;

        fn texts(&self) -> Self::Texts;
        fn parse(texts: Self::Texts) -> Result<Self, String>;
    }

    fn text(url: &ServiceUrl) -> String {
        match url.name() {
            Some(name) => format!("{name}={}", url.as_url()),
            None => url.as_url().to_string(),
        }
    }

    fn url(text: &str) -> Result<ServiceUrl, String> {
        text.parse().map_err(|error: tierce_spec::ServiceUrlError| error.to_string())
    }

    impl Urls for Option<ServiceUrl> {
        type Texts = Option<String>;

        fn texts(&self) -> Self::Texts {
            self.as_ref().map(text)
        }

        fn parse(texts: Self::Texts) -> Result<Self, String> {
            texts.as_deref().map(url).transpose()
        }
    }

    impl Urls for Vec<ServiceUrl> {
        type Texts = Vec<String>;

        fn texts(&self) -> Self::Texts {
            self.iter().map(text).collect()
        }

        fn parse(texts: Self::Texts) -> Result<Self, String> {
            texts.iter().map(|text| url(text)).collect()
        }
    }

    pub(crate) fn serialize<T: Urls, S: Serializer>(urls: &T, s: S) -> Result<S::Ok, S::Error> {
        urls.texts().serialize(s)
    }

    pub(crate) fn deserialize<'de, T: Urls, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
        T::parse(T::Texts::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}
