// What the viewer is told by the gateway that serves it: its stores, the first one shown first.
// Paths begin where this script came from, so the same file serves a viewer of another origin that loads it from here.
(() => {
  const root = new URL("..", document.currentScript.src).href;

  const source = ({ name, path, uri }) => ({
    namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
    sourceName: name,
    configuration: {
      friendlyName: name,
      name,
      qidoRoot: root + path,
      wadoRoot: root + path,
      wadoUriRoot: root + uri,
      qidoSupportsIncludeField: true,
      supportsFuzzyMatching: true,
      supportsWildcard: true,
      supportsReject: false,
      enableStudyLazyLoad: true, // series by series, as they are opened
      imageRendering: "wadors",
      thumbnailRendering: "thumbnail", // made by the gateway: a few kB in place of a whole frame
      thumbnailRequestStrategy: "fetch",
      dicomUploadEnabled: true,
      omitQuotationForMultipartRequest: true, // spares a preflight for each request of another origin
      bulkDataURI: { enabled: true, relativeResolution: "studies" },
      singlepart: "bulkdata,video,pdf",
    },
  });

  // A gateway that lets in tokens only is asked with one, which its user types once and this tab forgets when it is closed.
  const KEPT = "dicomweb-gateway.token";
  const known = () => sessionStorage.getItem(KEPT);
  if (/* bearer */ && !known() && !new URLSearchParams(location.search).has("token")) {
    const given = prompt("This gateway asks who you are. Your token:");
    if (given) sessionStorage.setItem(KEPT, given.trim());
  }
  const credentials = {
    id: "dicomweb-gateway.credentials",
    preRegistration: ({ servicesManager }) =>
      servicesManager.services.userAuthenticationService.setServiceImplementation({
        getAuthorizationHeader: () => (known() ? { Authorization: `Bearer ${known()}` } : undefined),
        handleUnauthenticated: () => sessionStorage.removeItem(KEPT),
      }),
  };

  window.config = {
    routerBasename: (window.PUBLIC_URL || "/").replace(/(.)\/$/, "$1"),
    extensions: known() ? [credentials] : [],
    modes: [],
    customizationService: {},
    showStudyList: true,
    maxNumberOfWebWorkers: 3,
    maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
    showLoadingIndicator: true,
    showWarningMessageForCrossOrigin: false,
    showCPUFallbackMessage: true,
    strictZSpacingForVolumeViewport: true,
    groupEnabledModesFirst: true,
    showErrorDetails: "production", // stack traces help nobody who reads pictures
    // Sources that load from wherever a link says (dicomjson, dicomwebproxy) are left out, and so are settings by URL.
    dataSources: [/* stores */].map(source),
    httpErrorHandler: (error) => console.warn("the gateway answered", error.status),
  };
  window.config.defaultDataSourceName = window.config.dataSources[0].sourceName;
})();
